"""Writes the pipelines beside it (kfp 2.17) that wherry and kfp.local run in turn."""
import os
from typing import List

from kfp import compiler, dsl

HERE = os.path.dirname(os.path.abspath(__file__))


@dsl.component(base_image='python:3.11')
def inc(n: int) -> int:
    return n + 1


@dsl.component(base_image='python:3.11', packages_to_install=['six==1.16.0'])
def inc_six(n: int) -> int:
    import six
    assert six.PY3
    return n + 1


@dsl.container_component
def step(seq: int, out: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image='python:3.11-slim', command=['sh', '-c', 'mkdir -p "$(dirname "$1")" && printf %s "$0" > "$1"'], args=[seq, out])


@dsl.pipeline(name='python-one')
def python_one() -> int:
    return inc(n=0).output


@dsl.pipeline(name='python-chain')
def python_chain() -> int:
    t = inc(n=0)
    for _ in range(9):
        t = inc(n=t.output)
    return t.output


@dsl.pipeline(name='packages-chain')
def packages_chain() -> int:
    t = inc_six(n=0)
    for _ in range(9):
        t = inc_six(n=t.output)
    return t.output


@dsl.pipeline(name='python-side')
def python_side():
    for i in range(10):
        inc(n=i)


@dsl.pipeline(name='containers-side')
def containers_side():
    for i in range(40):
        step(seq=i)


@dsl.pipeline(name='python-loop')
def python_loop(items: List[int]):
    with dsl.ParallelFor(items=items) as i:
        inc(n=i)


@dsl.pipeline(name='container-loop')
def container_loop(items: List[int]):
    with dsl.ParallelFor(items=items) as i:
        step(seq=i)


if __name__ == '__main__':
    for p in [python_one, python_chain, packages_chain, python_side, containers_side, python_loop, container_loop]:
        compiler.Compiler().compile(p, os.path.join(HERE, p.name.replace('-', '_') + '.yaml'))
