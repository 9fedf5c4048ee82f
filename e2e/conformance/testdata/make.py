"""Writes the pipelines beside it (kfp 2.17): what kfp.local is known to get wrong, and bad days.

Most steps are containers of a 2 MB image that any shell has; a step in Python is one that must be."""
import os
from typing import List

from kfp import compiler, dsl
from kfp.dsl import Dataset, Input, Output

HERE = os.path.dirname(os.path.abspath(__file__))
BOX = 'wherry-test/busybox'


def sh(script, *args):
    return dsl.ContainerSpec(image=BOX, command=['sh', '-ec', script], args=list(args))


@dsl.container_component
def produce(text: str, data: Output[Dataset]):
    return sh('mkdir -p "$(dirname "$1")"; printf %s "$0" >"$1"', text, data.path)


@dsl.container_component
def consume(data: Input[Dataset], text: dsl.OutputPath(str)):
    return sh('cat "$0" >"$1"', data.path, text)


@dsl.pipeline(name='artifact-at-the-top')
def artifact_at_the_top(data: Input[Dataset]) -> str:
    return consume(data=data).outputs['text']


@dsl.pipeline(name='innermost')
def innermost(data: Input[Dataset]) -> str:
    return consume(data=data).outputs['text']


@dsl.pipeline(name='middle')
def middle(data: Input[Dataset]) -> str:
    return innermost(data=data).output


@dsl.pipeline(name='outer')
def outer(data: Input[Dataset]) -> str:
    return middle(data=data).output


@dsl.pipeline(name='sub-pipelines-of-artifacts')
def sub_pipelines_of_artifacts(text: str = 'handed down') -> str:
    return outer(data=produce(text=text).outputs['data']).output


@dsl.container_component
def mark(text: str):
    return sh('echo "$0"', text)


@dsl.pipeline(name='conditions-like-python')
def conditions_like_python(text: str):
    with dsl.If(text == 'yes', name='is-yes'):
        mark(text=text)
    with dsl.If(text == 'True', name='is-the-word-true'):
        mark(text=text)
    with dsl.If(text == '1 == 1', name='is-a-comparison'):
        mark(text=text)
    with dsl.If(text == '__import__("os")', name='is-an-import'):
        mark(text=text)
    with dsl.If(text == '"quoted"', name='is-quoted'):
        mark(text=text)


@dsl.container_component
def numbers(items: dsl.OutputPath(List[int])):
    return sh('echo "[2, 3, 5]" >"$0"', items)


@dsl.container_component
def times(a: int, b: int, product: dsl.OutputPath(int)):
    return sh('echo $(($0 * $1)) >"$2"', a, b, product)


@dsl.container_component
def show(items: list, text: dsl.OutputPath(str)):
    return sh('printf %s "$0" >"$1"', items, text)


@dsl.pipeline(name='loop-around-a-loop')
def loop_around_a_loop() -> str:
    with dsl.ParallelFor(items=numbers().outputs['items']) as a:
        with dsl.ParallelFor(items=[10, 100]) as b:
            t = times(a=a, b=b)
    return show(items=dsl.Collected(t.outputs['product'])).outputs['text']


@dsl.container_component
def once_slow(text: dsl.OutputPath(str)):
    return sh('if [ ! -e /marks/one ]; then touch /marks/one; sleep 600; fi; printf again >"$0"', text)


@dsl.pipeline(name='vanishes')
def vanishes() -> str:
    return once_slow().outputs['text']


@dsl.container_component
def limits(cpu: dsl.OutputPath(str), memory: dsl.OutputPath(str)):
    return sh('''cd /sys/fs/cgroup
cat cpu.max 2>/dev/null >"$0" || echo "$(cat cpu/cpu.cfs_quota_us) $(cat cpu/cpu.cfs_period_us)" >"$0"
cat memory.max 2>/dev/null >"$1" || cat memory/memory.limit_in_bytes >"$1"''', cpu, memory)


@dsl.pipeline(name='limited')
def limited():
    limits().set_cpu_limit('0.5').set_memory_limit('96Mi')


@dsl.container_component
def nap(seconds: int):
    return sh('sleep "$0"', seconds)


@dsl.pipeline(name='branches')
def branches():
    nap(seconds=3).set_display_name('left')
    nap(seconds=3).set_display_name('right')


@dsl.container_component
def speak(code: int):
    return sh('echo "to stdout ü"; echo "to stderr" >&2; exit "$0"', code)


@dsl.pipeline(name='speaks')
def speaks():
    good = speak(code=0)
    speak(code=3).after(good)


@dsl.container_component
def fails():
    return sh('exit 3')


@dsl.pipeline(name='fails-at-once')
def fails_at_once():
    fails()


@dsl.container_component
def echo(text: str, out: dsl.OutputPath(str)):
    return sh('printf %s "$0" >"$1"', text, out)


@dsl.component
def strings(text: str, items: list, mapping: dict, note: Output[Dataset]) -> str:
    import os
    note.metadata['text'] = text
    note.metadata[text] = items
    note.metadata['mapping'] = mapping
    with open(note.path, 'w', newline='') as f:
        f.write(text)
    return '|'.join([text, items[0], mapping['key'], os.environ['FIXED']])


@dsl.component
def read_strings(note: Input[Dataset]) -> str:
    with open(note.path, newline='') as f:
        text = f.read()
    assert note.metadata['text'] == text == next(k for k in note.metadata if k not in ('text', 'mapping')), note.metadata
    return note.metadata['mapping']['key']


@dsl.pipeline(name='strings-of-all-kinds', display_name='Ünï "quoted" \'single\' <b> 数据')
def strings_of_all_kinds(text: str, items: list, mapping: dict) -> str:
    echo(text=text).set_display_name('echo: "x" \\ # 数据')
    s = strings(text=text, items=items, mapping=mapping)
    s.set_env_variable('FIXED', 'a "b" \'c\' $HOME ${X} `id` \\ ü数\tend')
    return read_strings(note=s.outputs['note']).output


@dsl.container_component
def count(n: int, items: dsl.OutputPath(List[int])):
    return sh('seq -s , 1 "$0" | sed "s/.*/[&]/" >"$1"', n, items)


@dsl.pipeline(name='loop-over-many')
def loop_over_many(n: int):
    with dsl.ParallelFor(items=count(n=n).outputs['items']) as item:
        nap(seconds=item)


@dsl.container_component
def large(log_mb: int, data_mb: int, data: Output[Dataset]):
    return sh('mkdir -p "$(dirname "$2")"; yes 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde | head -c "$0"m; '
              'dd if=/dev/zero of="$2" bs=1M count="$1" 2>/dev/null', log_mb, data_mb, data.path)


@dsl.container_component
def size(data: Input[Dataset], bytes: dsl.OutputPath(int)):
    return sh('stat -c %s "$0" >"$1"', data.path, bytes)


@dsl.pipeline(name='large-outputs')
def large_outputs(log_mb: int, data_mb: int) -> int:
    return size(data=large(log_mb=log_mb, data_mb=data_mb).outputs['data']).outputs['bytes']


if __name__ == '__main__':
    for p in [artifact_at_the_top, sub_pipelines_of_artifacts, conditions_like_python, loop_around_a_loop, vanishes, limited,
              branches, speaks, fails_at_once, strings_of_all_kinds, loop_over_many, large_outputs]:
        compiler.Compiler().compile(p, os.path.join(HERE, p.name.replace('-', '_') + '.yaml'))
