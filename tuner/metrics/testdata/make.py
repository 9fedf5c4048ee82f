"""Writes the files of this folder with the libraries that trials use.

    python3 -m venv env && env/bin/pip install tensorboardX tensorboard prometheus_client
    cd tuner/metrics/testdata && ../../../env/bin/python make.py

plain.tfevents   tensorboardX: scalars as simple_value, and a histogram
tensor.tfevents  tensorboard.summary.Writer: scalars as tensors
types.tfevents   one tensor of each type, in tensor_content and in a typed list
page.txt         prometheus_client
openmetrics.txt  the same page as OpenMetrics
"""
import glob
import os
import shutil
import tempfile

import numpy as np
import prometheus_client as prom
from prometheus_client.openmetrics import exposition as openmetrics
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.summary import Writer
from tensorboard.util.tensor_util import make_tensor_proto
from tensorboardX import SummaryWriter

START = 1_700_000_000.25


def only_file(folder, name):
    (written,) = glob.glob(os.path.join(folder, "*tfevents*"))
    shutil.move(written, name)


with tempfile.TemporaryDirectory() as d:
    w = SummaryWriter(d, write_to_disk=True)
    for step in range(3):
        w.add_scalar("accuracy", 0.5 + 0.1 * step, step, walltime=START + step)
        w.add_scalar("train/loss", 1 / (1 + step), step, walltime=START + step)
    w.add_histogram("weights", np.arange(10.0), 2, walltime=START + 2)
    w.add_scalar("accuracy", float("nan"), 3, walltime=START + 3)
    w.close()
    only_file(d, "plain.tfevents")

with tempfile.TemporaryDirectory() as d:
    w = Writer(d)
    for step in range(3):
        w.add_scalar("epoch_accuracy", 0.5 + 0.1 * step, step, wall_time=START + step)
    w.flush()
    w.close()
    only_file(d, "tensor.tfevents")

LISTS = {
    "float32": ("float_val", 1, 0.9), "float64": ("double_val", 2, 0.9), "int32": ("int_val", 3, -7), "uint8": ("int_val", 4, 200),
    "int16": ("int_val", 5, -300), "int8": ("int_val", 6, -5), "int64": ("int64_val", 9, -(2**40)), "bool": ("bool_val", 10, True),
    "uint16": ("int_val", 17, 60000), "uint32": ("uint32_val", 22, 2**31), "uint64": ("uint64_val", 23, 2**40),
}
with tempfile.TemporaryDirectory() as d:
    w = EventFileWriter(d)
    values = []
    for name, (field, number, value) in LISTS.items():
        listed = TensorProto(dtype=number)
        getattr(listed, field).append(value)
        values.append(Summary.Value(tag=f"list/{name}", tensor=listed))
        content = TensorProto(dtype=number, tensor_content=np.array(value, dtype=name).tobytes())
        values.append(Summary.Value(tag=f"content/{name}", tensor=content))
    half = np.array(-1.5, dtype=np.float16)
    values.append(Summary.Value(tag="list/float16", tensor=TensorProto(dtype=19, half_val=[int(half.view(np.uint16))])))
    values.append(Summary.Value(tag="content/float16", tensor=TensorProto(dtype=19, tensor_content=half.tobytes())))
    values.append(Summary.Value(tag="one", tensor=make_tensor_proto(np.array([[4.5]]))))
    values.append(Summary.Value(tag="many", tensor=make_tensor_proto(np.array([1.0, 2.0]))))
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=3)])
    values.append(Summary.Value(tag="repeated", tensor=TensorProto(dtype=1, tensor_shape=shape, float_val=[1.0])))
    values.append(Summary.Value(tag="text", tensor=make_tensor_proto("hello")))
    w.add_event(Event(wall_time=START, step=5, summary=Summary(value=values)))
    w.close()
    only_file(d, "types.tfevents")

registry = prom.CollectorRegistry()
accuracy = prom.Gauge("accuracy", 'how often it is "right"', ["split"], registry=registry)
accuracy.labels("train").set(0.9)
accuracy.labels('te"s\\t\n').set(0.8)
prom.Gauge("loss", "cross entropy", registry=registry).set(float("nan"))
prom.Gauge("best", "so far", registry=registry).set(float("-inf"))
prom.Counter("batches", "seen", registry=registry).inc(12, {"trace": "abc"})
seconds = prom.Histogram("batch_seconds", "time", buckets=[0.1, 1], registry=registry)
seconds.observe(0.5, {"trace": "def"})
with open("page.txt", "wb") as f:
    f.write(prom.generate_latest(registry))
with open("openmetrics.txt", "wb") as f:
    f.write(openmetrics.generate_latest(registry))
