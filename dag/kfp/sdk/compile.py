"""Compiles one pipeline or component of a Python file with the kfp of this interpreter.

Run as `python -c THIS REQUEST`. The request and the reply, on stdout, are JSON; what the file prints goes to
stderr. The file is imported and no more: what it has under `if __name__ == "__main__"` does not run.
Works with Python 3.7 and newer, and any kfp 2.
"""
import sys

if sys.path and sys.path[0] == "":  # a json.py in the working directory is not the one that is meant
    del sys.path[0]

import ast
import collections
import importlib
import importlib.machinery
import importlib.util
import inspect
import json
import linecache
import os
import re
import shutil
import site
import sysconfig
import tempfile
import types
import warnings

Thing = collections.namedtuple("Thing", "value name title what line here")


def main():
    request = json.loads(sys.argv[1])
    opened = note_opens()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    aside = tempfile.mkdtemp(prefix="wherry-compile-")
    try:
        reply = answer(request, aside)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    reply["modules"] = read_with(request["file"], opened)
    reply["python"] = "%d.%d.%d" % sys.version_info[:3]
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # the file may have closed it
            pass
    out.write(json.dumps(reply))
    out.flush()
    os._exit(0)  # a thread that the file has started must not keep us


def note_opens():
    """Collects the paths of all that is opened for reading from now on. Python 3.7 can't tell."""
    opened = set()

    def hook(event, args):
        if event == "open" and isinstance(args[0], str) and (args[1] or "r") in ("r", "rb", "rt"):
            opened.add(args[0])

    if hasattr(sys, "addaudithook"):
        sys.addaudithook(hook)
    return opened


def read_with(file, opened):
    """Lists what the file is made of beside itself: the person's own modules, and what it read from its folder."""
    path = os.path.abspath(file)
    folder = os.path.dirname(path) + os.sep
    try:
        modules = {os.path.abspath(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)}
        data = {p for p in map(os.path.abspath, opened) if p.startswith(folder) and not p.endswith(".pyc")}
        return sorted(p for p in (modules | data) - {path} if is_own(p) and os.path.isfile(p))[:1000]
    except Exception:  # a file may leave anything in sys.modules
        return []


def answer(request, aside):
    path = os.path.abspath(request["file"])
    sys.argv = [request["file"]]
    try:
        import kfp
        version = getattr(kfp, "__version__", "")  # a mere folder of that name has none
    except ImportError as e:
        if e.name != "kfp":
            return {"kind": "broken-kfp", "message": words(e)}
        version = ""
    except Exception as e:
        return {"kind": "broken-kfp", "message": words(e)}
    if not version or version.split(".")[0] in ("0", "1"):
        return {"kind": "old-kfp" if version else "no-kfp", "kfp": version}
    try:
        reply = compile_file(path, request, quiet_kfp(aside, request.get("verbose")))
    except BaseException as e:  # SystemExit too
        reply = describe(e, path)
    reply["kfp"] = version
    return reply


def quiet_kfp(aside, verbose):
    """Keeps a file's import from writing packages and from running steps. Returns kfp's own compile function."""
    from kfp import compiler

    if not verbose:
        warnings.filterwarnings("ignore", message="The default base_image used by")
    sys.dont_write_bytecode = True  # no __pycache__ beside the person's files
    original = compiler.Compiler.compile
    signature = inspect.signature(original)

    def compile_aside(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs)
        package = str(bound.arguments.get("package_path") or "pipeline.yaml")
        bound.arguments["package_path"] = os.path.join(aside, os.path.basename(package))
        return original(*bound.args, **bound.kwargs)

    compiler.Compiler.compile = compile_aside
    try:  # the comment that heads the YAML breaks it where a default value has a line break
        from kfp.compiler import pipeline_spec_builder as builder
        if hasattr(builder, "extract_comments_from_pipeline_spec"):
            builder.extract_comments_from_pipeline_spec = lambda *args, **kwargs: ""
    except ImportError:
        pass
    try:  # steps run when the run has started, not while the file is read
        from kfp import local
        local.init = lambda *args, **kwargs: None
    except ImportError:
        pass

    def to_text(value):
        package = os.path.join(aside, "wherry.yaml")
        original(compiler.Compiler(), value, package)
        with open(package, encoding="utf-8") as f:
            return f.read()

    return to_text


def compile_file(path, request, to_text):
    things = find(import_file(path, set(request.get("stub") or ())), path)
    chosen = choose(things, request)
    if len(chosen) != 1:
        names = [dict(name=t.name, title=t.title, what=t.what, line=t.line) for t in things]
        return {"kind": "choose", "things": names, "chosen": [t.name for t in chosen]}
    try:
        text = to_text(chosen[0].value)
    except Exception as e:
        reply = describe(e, path)
        if not reply.get("line"):
            reply.update(place(path, chosen[0].line, 0))
        return reply
    return {"kind": "ok", "name": chosen[0].name, "what": chosen[0].what, "ir": text}


# Reading the file.


def import_file(path, stub):
    """Imports the file as `python FILE` would find it; stub are modules to stand in for, as they are missing."""
    if stub:
        sys.meta_path.append(Stand(stub))
    folder, stem = os.path.split(os.path.splitext(path)[0])
    sys.path.insert(0, folder)
    if is_relative(path):  # `from .steps import train`: it is part of a package
        package = []
        while os.path.exists(os.path.join(folder, "__init__.py")):
            folder, name = os.path.split(folder)
            package.insert(0, name)
        if package and package[0] not in sys.modules:
            sys.path.insert(1, folder)
            return importlib.import_module(".".join(package + [stem]))
    name = stem if stem not in sys.modules else "pipeline_file_" + stem
    spec = importlib.util.spec_from_file_location(name, path, loader=importlib.machinery.SourceFileLoader(name, path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look it up
    spec.loader.exec_module(module)
    return module


def is_relative(path):
    return any(isinstance(n, ast.ImportFrom) and n.level for n in ast.walk(parse(path)))


def parse(path):
    """Returns the syntax tree of a file; an empty one where it has none."""
    try:
        with open(path, "rb") as f:
            return ast.parse(f.read(), path)
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


class Stand:
    """Finds modules that aren't there, so that what else is wrong with a file can be seen."""

    def __init__(self, names):
        self.names = names

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        from unittest import mock
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: mock.MagicMock(name=name)
        return module

    def exec_module(self, module):
        pass


def find(module, path):
    """Lists the pipelines and components of a module, each once, in the order of the file."""
    try:
        from kfp.dsl import base_component, graph_component
    except ImportError:  # kfp 2.0
        from kfp.components import base_component, graph_component
    things, seen = [], set()
    for name, value in list(vars(module).items()):
        if not isinstance(value, base_component.BaseComponent) or id(value) in seen:
            continue
        seen.add(id(value))
        what = "pipeline" if isinstance(value, graph_component.GraphComponent) else "component"
        function = getattr(value, "pipeline_func", None) or getattr(value, "python_func", None)
        code = getattr(function, "__code__", None)
        here = code is None or os.path.abspath(code.co_filename) == path
        line = code.co_firstlineno if code and here else 0
        things.append(Thing(value, name, str(value.name), what, line, here))
    return things


def choose(things, request):
    """Returns those that are meant: one, if all is well. A file's own come before those that it imports."""
    for what in ("pipeline", "component"):
        of = [t for t in things if t.what == what]
        wanted = request.get(what)
        if wanted:
            return [t for t in of if t.name == wanted] or [t for t in of if t.title == wanted]
        if of and not request.get("component"):
            return [t for t in of if t.here] or of
    return []


# Saying what went wrong.


def describe(e, path):
    """Returns the reply for an exception: its kind, words and place in the person's own code."""
    import kfp

    trace = frames(e.__traceback__)
    own = [f for f in trace if is_own(f[0])]
    reply = {"kind": "other", "type": type(e).__name__, "message": str(e).strip()}
    if own:
        reply.update(place(*own[-1]))
    if trace and trace[-1][0].startswith(os.path.dirname(kfp.__file__) + os.sep):
        reply["kind"] = "sdk"
    if isinstance(e, SyntaxError) and e.filename and is_own(e.filename):
        reply.update(place(e.filename, e.lineno or 1, e.offset or 0), kind="syntax", message=e.msg)
    elif isinstance(e, ModuleNotFoundError) and e.name:
        reply.update(kind="module", module=e.name, missing=missing(e.name, own), near=near(e.name, path))
    elif isinstance(e, ImportError):
        reply["kind"] = "import"
    elif type(e).__name__ == "InconsistentTypeException":
        reply["kind"] = "types"
    elif isinstance(e, SystemExit):
        reply["kind"] = "exit"
    elif isinstance(e, FileNotFoundError):
        reply["kind"] = "file"
    if reply["kind"] in ("types", "sdk") and own:
        refine(reply, own[-1][0])
    return reply


def frames(tb):
    """Lists file, line and column (0: not known) of a traceback, the outermost first."""
    out = []
    while tb is not None:
        code, line, col = tb.tb_frame.f_code, tb.tb_lineno, 0
        if hasattr(code, "co_positions"):  # Python 3.11
            at = list(code.co_positions())[tb.tb_lasti // 2]
            if at[0] == line and at[2] is not None:
                text = linecache.getline(code.co_filename, line).encode("utf-8", "replace")
                col = len(text[:at[2]].decode("utf-8", "replace")) + 1
        out.append((code.co_filename, line, col))
        tb = tb.tb_next
    return out


def place(file, line, col):
    text = linecache.getline(file, line).rstrip("\r\n")
    return {"file": os.path.abspath(file), "line": line, "col": col or len(text) - len(text.lstrip()) + 1, "text": text}


def is_own(file):
    """Tells the person's files from Python's and from installed packages."""
    if file.startswith("<"):
        return False
    paths = sysconfig.get_paths()
    libraries = [paths[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")]
    libraries += list(getattr(site, "getsitepackages", list)()) + [site.getusersitepackages()]
    file = os.path.abspath(file)
    return not any(file.startswith(os.path.abspath(d) + os.sep) for d in libraries)


def missing(name, own):
    """Lists what can't be found of all that the file with the failing import imports at its top level."""
    names = [name.split(".")[0]]
    for node in parse(own[-1][0]).body if own else []:
        if isinstance(node, ast.Import):
            modules = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            modules = [node.module]
        else:
            continue
        for root in (m.split(".")[0] for m in modules):
            try:
                if root not in names and importlib.util.find_spec(root) is None:
                    names.append(root)
            except (ImportError, ValueError):
                pass
    return names


def near(name, path):
    """Returns the nearest folder above the file that has a module of this name: it is only not on sys.path."""
    root, folder = name.split(".")[0], os.path.dirname(os.path.dirname(path))
    for _ in range(4):
        if os.path.isfile(os.path.join(folder, root + ".py")) or os.path.isfile(os.path.join(folder, root, "__init__.py")):
            return folder
        folder = os.path.dirname(folder)
    return ""


def refine(reply, file):
    """Adds where the function is that the SDK's words are about, and moves to an argument without a type."""
    functions = [n for n in ast.walk(parse(file)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    untyped = re.search(r"Missing type annotation for argument: (\w+)", reply["message"])
    named = re.search(r"component '([^']+)'|^([\w-]+)\(\) (?:missing|got)", reply["message"])
    for f in functions:
        decorated = [d for d in f.decorator_list if d.lineno <= reply["line"] <= getattr(d, "end_lineno", d.lineno)]
        for arg in f.args.args + f.args.kwonlyargs:
            if untyped and (decorated or f.lineno == reply["line"]) and arg.arg == untyped.group(1):
                reply.update(place(file, arg.lineno, arg.col_offset + 1), function=f.name)
        if named and dashed(f.name) == dashed(named.group(1) or named.group(2)):
            reply.update(function=f.name, defined=f.lineno, arguments=[a.arg for a in f.args.args + f.args.kwonlyargs])


def dashed(name):
    """Returns a component's name as kfp makes it from a function's."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")


def words(e):
    """Returns an exception's type and first line."""
    return ("%s: %s" % (type(e).__name__, str(e).strip().split("\n")[0])).rstrip(": ")


main()
