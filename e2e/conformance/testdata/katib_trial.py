"""What stands for the training of Katib's examples: it takes their arguments and says the metrics that they say."""
import argparse
import json
import os
import struct
import time

parser = argparse.ArgumentParser()
for name in ("epochs", "batch-size", "lr", "momentum", "log-path", "logger", "learning-rate", "checkpoint"):
    parser.add_argument("--" + name)
args = parser.parse_args()
rate = float(args.lr or args.learning_rate)
steps = 3


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(step, tag, value):
    """One scalar as TensorFlow's summary writers put it into an event file."""
    scalar = b"\x0a" + bytes([len(tag)]) + tag + b"\x15" + struct.pack("<f", value)
    summary = b"\x0a" + bytes([len(scalar)]) + scalar
    event = b"\x09" + struct.pack("<d", time.time()) + b"\x10" + bytes([step]) + b"\x2a" + bytes([len(summary)]) + summary
    size = struct.pack("<Q", len(event))
    return size + struct.pack("<I", masked_crc(size)) + event + struct.pack("<I", masked_crc(event))


def write(name, data):
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "ab") as f:
        f.write(data)


before = 0
if args.checkpoint:
    path = os.path.join(args.checkpoint, "training.ckpt")
    if os.path.exists(path):
        before = int(open(path).read())
for step in range(1, steps + 1):
    accuracy = 0.5 + 0.1 * step + rate
    loss = 1 / (before + step) + rate
    if args.logger == "hypertune":
        line = json.dumps({"checkpoint_path": "", "global_step": str(step), "accuracy": str(accuracy), "loss": str(loss), "timestamp": time.time()})
        write(args.log_path, line.encode() + b"\n")
    elif args.log_path:
        for folder in "train", "test":
            write(f"{args.log_path}/{folder}/events.out.tfevents.1.host", record(step, b"accuracy", accuracy))
    elif args.checkpoint:
        print(f"Validation-accuracy={accuracy}")
        write(path, b"") or open(path, "w").write(str(before + step))
    else:
        print(f"{{metricName: accuracy, metricValue: {accuracy}}};{{metricName: loss, metricValue: {loss}}}")
        print(f"accuracy={accuracy} loss={loss}", flush=True)
