package runnertest

import (
	"slices"
	"testing"
)

// Run runs the suite. open makes a subject with a home of its own, with
// t.Cleanup to take it away; it fails the test where the backend does not
// answer. Tests run in parallel; with names, only those.
func Run(t *testing.T, open func(t *testing.T) *Subject, only ...string) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *Subject)
	}{
		{"Answers", testAnswers},
		{"ExitCodes", testExitCodes},
		{"Signal", testSignal},
		{"OutOfMemory", testOOM},
		{"BadCommand", testBadCommand},
		{"MissingImage", testMissingImage},
		{"Stop", testStop},
		{"StopBeforeKill", testStopGrace},
		{"Deadline", testDeadline},
		{"DeadlineAfterReopen", testDeadlineAfterReopen},
		{"Lost", testLost},
		{"RemoveIsRepeatable", testRemove},
		{"Adoption", testAdoption},
		{"CallerKilled", testCallerKilled},
		{"EnsureAtOnce", testEnsureAtOnce},
		{"WatchSeesAll", testWatch},
		{"Fifty", testFifty},
		{"Streams", testStreams},
		{"BinaryOutput", testBinary},
		{"LongLine", testLongLine},
		{"HundredMegabytes", testHundredMegabytes},
		{"LogCursor", testLogCursor},
		{"Environment", testEnvironment},
		{"WorkDirAndUser", testWorkDirAndUser},
		{"Inputs", testInputs},
		{"Tree", testTree},
		{"Seed", testSeed},
		{"Outputs", testOutputs},
		{"OutputElsewhere", testOutputElsewhere},
		{"OutputLater", testOutputLater},
		{"LinkedOutputs", testLinkedOutputs},
		{"NamedVolume", testNamedVolume},
		{"NamedVolumeRemoved", testNamedVolumeRemoved},
		{"NamedVolumeSubPath", testNamedVolumeSubPath},
		{"HostVolume", testHostVolume},
		{"Files", testFiles},
		{"FilesInContainer", testFilesInContainer},
		{"FilesAdopted", testFilesAdopted},
		{"MemoryVolume", testMemoryVolume},
		{"ScratchIsPrivate", testScratchIsPrivate},
		{"InitContainer", testInit},
		{"InitFails", testInitFails},
		{"Sidecar", testSidecar},
		{"Ordered", testOrdered},
		{"OrderedFails", testOrderedFails},
		{"OrderedAfterReopen", testOrderedReopen},
		{"StopOrdered", testStopOrdered},
		{"Gang", testGang},
		{"GangAllOrNone", testGangAllOrNone},
		{"NetworkNone", testNetworkNone},
		{"Dial", testDial},
		{"Exec", testExec},
		{"Peek", testPeek},
		{"PeekImage", testPeekImage},
		{"FailFast", testFailFast},
		{"OutputOfContainer", testOutputOfContainer},
		{"Isolation", testIsolation},
		{"Accelerators", testAccelerators},
	} {
		if len(only) > 0 && !slices.Contains(only, c.name) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // most of a test is waiting
			c.test(t, open(t))
		})
	}
}
