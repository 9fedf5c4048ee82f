# Every step appends its own name to /effects/log, a file that wherry knows nothing of:
# python effects.py writes effects.yaml (kfp 2.17).
from typing import List

from kfp import compiler, dsl
from kfp.dsl import Artifact, Dataset, Input, Output


@dsl.container_component
def say(name: str, text: dsl.OutputPath(str)):
    return dsl.ContainerSpec(
        image="wherry-test/busybox",
        command=["sh", "-c", 'sleep 0.1; echo "$0" >> /effects/log; sleep 0.1; printf %s "$0 done" > "$1"'],
        args=[name, text],
    )


@dsl.container_component
def read(name: str, data: Input[Dataset], copy: Output[Dataset], text: dsl.OutputPath(str)):
    return dsl.ContainerSpec(
        image="wherry-test/busybox",
        command=["sh", "-c", 'echo "$0" >> /effects/log; cat "$1" "$1" > "$2"; sleep 0.1; printf %s $(wc -l < "$2") > "$3"'],
        args=[name, data.path, copy.path, text],
    )


@dsl.container_component
def names(name: str, items: dsl.OutputPath(list)):
    return dsl.ContainerSpec(
        image="wherry-test/busybox",
        command=["sh", "-c", 'echo "$0" >> /effects/log; printf %s \'["x", "y", "z"]\' > "$1"; sleep 0.1'],
        args=[name, items],
    )


@dsl.container_component
def join(name: str, texts: List[str], book: Output[Artifact]):
    return dsl.ContainerSpec(
        image="wherry-test/busybox",
        command=["sh", "-c", 'echo "$0" >> /effects/log; mkdir -p "$2"; printf %s "$1" > "$2/texts"; seq 20000 > "$2/numbers"; sleep 0.1'],
        args=[name, texts, book.path],
    )


@dsl.component(base_image="python:3.11", packages_to_install=["six==1.15.0"])
def layered(name: str) -> str:
    import six

    with open("/effects/log", "a") as f:
        f.write(name + "\n")
    return name + " with six " + six.__version__


def steps(layer: bool):
    given = dsl.importer(artifact_uri="data.csv", artifact_class=Dataset)
    first = read(name="first", data=given.output)
    second = read(name="second", data=first.outputs["copy"])
    listed = names(name="listed")
    with dsl.ParallelFor(items=listed.output) as item:
        each = say(name=f"each-{item}").after(first)
        with dsl.If(item == "y"):
            say(name=f"only-{each.output}")
        with dsl.ParallelFor(items=listed.output) as number:
            say(name=f"inner-{number}-{each.output}")
    with dsl.If(second.outputs["text"] == "12"):
        yes = say(name="yes")
    with dsl.Else():
        no = say(name="no")
    chosen = dsl.OneOf(yes.output, no.output)
    last = say(name=chosen)
    book = join(name="book", texts=dsl.Collected(each.output))
    if layer:
        layered(name="layered").after(last)
    return book.output


@dsl.pipeline(name="effects")
def effects() -> Artifact:
    return steps(layer=False)


@dsl.pipeline(name="effects-layer")
def effects_layer() -> Artifact:
    return steps(layer=True)


compiler.Compiler().compile(effects, "effects.yaml")
compiler.Compiler().compile(effects_layer, "effects_layer.yaml")
