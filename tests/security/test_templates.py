"""The package against itself: stored text is data, never a template, a format or a program.

The checks read every template and every module, so a new one is covered by being there. What is right although it
looks like a fault stands in an allow-list with its whole text, so that a change of it is looked at again.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, nodes

import adserve.demo.pages
import adserve.embed.markup
import adserve.snippet
import adserve.web.api.documents
import adserve.web.console.view

PACKAGE = Path(__file__).resolve().parents[2] / "adserve"
ENVIRONMENTS = {
    "templates": adserve.snippet.templates,
    "demo/templates": adserve.demo.pages._env,
    "embed/templates": adserve.embed.markup.templates,
    "web/templates": adserve.web.api.documents.templates,
    "web/console/templates": adserve.web.console.view.templates,
}
"""Folder of templates to what renders it."""
_RULES, _PLACES = "style_of(places)", 'style_of(places, "data-place")'
OURS = {
    "web/templates/api.html.j2": ("style",),
    "embed/templates/html.j2": (_RULES,),
    "embed/templates/blogger-style.j2": (_RULES,),
    "embed/templates/_jinja.j2": (_PLACES,),
    "embed/templates/django.j2": (_PLACES,),
    "embed/templates/nginx.j2": (_PLACES,),
}
"""What of a template stands in `<style>` or `<script>` and is a file of ours, or rules that are made of numbers and
names of slots alone."""

ALLOWED = {
    "adserve/charts/svg.py": ["Markup(tostring(element, 'unicode'))"],
    "adserve/contrib/client.py": ["Html(answer)"],
    "adserve/contrib/markup.py": [
        "Html(value.__html__())",
        "Html(str(value).translate(_ESCAPES))",
        """Html(f"<div{stated}>{(f'<template>{own}</template>' if own else '')}</div>")""",
        """f"<div{stated}>{(f'<template>{own}</template>' if own else '')}</div>\"""",
        "f'<template>{own}</template>'",
        "Html(html)",
        "Html(html + _PIXEL.format(escape(impression), _LAZY if _LAZY in html else ''))",
    ],
    "adserve/contrib/django/templatetags/slots.py": ["mark_safe(self.nodelist.render(context))", "mark_safe(answer)"],
    "adserve/contrib/jinja2.py": [
        "Markup(self.client.slot(name, **context))",
        "Markup(await self.client.aslot(name, **context))",
        "Markup(body)",
        "Markup(answer or without(name, answer, own))",
        "Markup(html)",
    ],
    "adserve/embed/markup.py": [
        r"""Markup(str(text).replace("\\", "\\\\").replace("'", "\\'"))""",
        """Markup(" ".join(str(text).split()).replace("*/", "* /").replace("?>", "? >"))""",
        r"""Markup(re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", words))""",
        r"""Markup("\n".join(rules))""",
    ],
    "adserve/web/preview.py": ["Markup(html)"],
    "adserve/snippet.py": [
        """f'<img src="{url}" width="1" height="1" alt="" aria-hidden="true" '"""
        """'style="position:absolute;width:1px;height:1px;border:0">'""",
    ],
}
"""By module, what is taken for HTML as it is: what our own server has rendered and escaped, what a page's own template
has, an element around values that are escaped, an address of ours, which is plain ASCII without quotes, and what is
escaped for another language (PHP, a comment in it, Markdown)."""
URLS = {"click", "base", "frame", "href", "action", "value.href", "export", "call.request.url.path"}
"""What may begin the value of an attribute that is an address: addresses of ours. `url(...)` makes one, and refuses
what does not begin with a slash; `href` and `action` are what macros of the console are given."""
STYLED = {"width", "widest"} | {f"styles.{part}" for part in ("link", "picture", "words", "title", "body", "button")}
STYLED |= {"base", "file"}
"""What may stand in a `style`: whole numbers, what is made of them alone, and the address of a stored picture, whose
name is a digest."""
_LINKS = {"href", "src", "srcset", "action", "formaction", "poster", "data", "ping", "background", "cite", "manifest"}
_HOLE = "\ue000"
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
_ATTRIBUTE = re.compile(r"\s*([^\s=>\"'/]+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+))?")
_RAW = re.compile(r"<(script|style)\b[^>]*>(.*?)</\1\s*>", re.DOTALL | re.IGNORECASE)


# ---- templates


def text_with_holes(env: Environment, source: str) -> tuple[str, list[str]]:
    """The HTML of a template with a private character for each `{{ }}`, and what stands in these. Statements and
    comments are left out, all branches are kept."""
    found, inside = "", ""
    holes: list[str] = []
    for _, kind, value in env.lex(source):
        if kind == "data":
            found += value
        elif kind == "variable_begin":
            inside, holes = kind, [*holes, ""]
            found += _HOLE
        elif kind in ("block_begin", "raw_begin"):
            inside = kind
        elif kind.endswith("_end"):
            inside = ""
        elif inside == "variable_begin":
            holes[-1] += value
    return found, [hole.strip() for hole in holes]


def faults_of_template(env: Environment, name: str, source: str, ours: Collection[str] = ()) -> list[str]:
    """What lets data out of the place that a template has for it."""
    faults = [] if _escapes(env, name) else ["is rendered without escaping"]
    tree = env.parse(source)
    find: Any = tree.find_all
    for node in find((nodes.Filter, nodes.Call)):
        called = node if isinstance(node, nodes.Filter) else node.node  # a name, or an attribute of something
        label = getattr(called, "name", getattr(called, "attr", ""))
        if label in ("safe", "Markup", "mark_safe", "xmlattr", "tojson", "attr", "format_map"):
            faults.append(f"line {node.lineno}: {label}")
        if label == "format" and not isinstance(getattr(called, "node", None), nodes.Const):
            faults.append(f"line {node.lineno}: data as a format")
    for modifier in find(nodes.EvalContextModifier):
        faults.append(f"line {modifier.lineno}: changes the escaping")
    for taken in find((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        if not isinstance(taken.template, nodes.Const):
            faults.append(f"line {taken.lineno}: the name of a template comes from data")
    html, holes = text_with_holes(env, source)
    for raw in _RAW.finditer(html):
        first, count = html.count(_HOLE, 0, raw.start(2)), raw[2].count(_HOLE)
        faults += [f"data within <{raw[1]}>: {hole}" for hole in holes[first : first + count] if hole not in ours]
    return faults + list(_misplaced(html, iter(holes)))


def _misplaced(html: str, holes: Iterator[str]) -> Iterator[str]:
    at = 0
    for tag in _TAG.finditer(html):
        for _ in range(html.count(_HOLE, at, tag.start())):
            next(holes)  # between tags: text, escaped
        at = tag.end()
        if _HOLE in tag[2]:
            yield f"data as the name of a tag: {next(holes)}"
        for attribute in _ATTRIBUTE.finditer(tag[3]):
            name, value = attribute[1].lower(), attribute[2] or ""
            inside = [next(holes) for _ in range(attribute[0].count(_HOLE))]
            if not inside:
                continue
            if _HOLE in name:
                yield f"data as the name of an attribute: {inside}"
            elif value[0] not in "\"'":
                yield f"{name} has no quotes around {inside}"
            elif name.startswith("on") or name in ("srcdoc", "http-equiv", "xmlns"):
                yield f"data in {name}: {inside}"
            elif name in _LINKS and not (
                value[1] != _HOLE or inside[0] in URLS or inside[0].startswith("url(")
            ):
                yield f"{name} may begin with any scheme: {inside[0]}"
            elif name == "style" and not set(inside) <= STYLED:
                yield f"data in style: {inside}"
    if "<" in _TAG.sub("", html[at:]):
        yield "a tag that does not end"


def _escapes(env: Environment, name: str) -> bool:
    return bool(env.autoescape(name)) if callable(env.autoescape) else env.autoescape is True


def template_files() -> dict[str, Path]:
    """Every file of the package that could be a template: by its folder, its ending, or what stands in it."""
    found = {}
    for path in sorted(PACKAGE.rglob("*")):
        if path.is_file() and path.suffix not in (".py", ".pyc", ".lua"):
            short = path.relative_to(PACKAGE).as_posix()
            text = path.read_bytes()
            if "templates/" in short or ".j2" in path.name or b"{{" in text or b"{%" in text:
                found[short] = path
    return found


def test_no_template_lets_data_out_of_its_place() -> None:
    """Of every template: it is escaped whatever its name ends in, and each place of data in it is one that escaping
    protects."""
    files = template_files()
    assert {"templates/image.html.j2", "templates/text.html.j2", "demo/templates/page.html.j2"} <= set(files)
    for short, path in files.items():
        folder, _, name = short.rpartition("/")
        assert folder in ENVIRONMENTS, f"{short}: nothing is known to render this folder"
        text = path.read_text(encoding="utf-8")
        assert faults_of_template(ENVIRONMENTS[folder], name, text, OURS.get(short, ())) == [], short


def test_every_environment_escapes_every_name() -> None:
    """Also names that Jinja's own selectors skip; and each environment that a module holds is a known one."""
    for env in ENVIRONMENTS.values():
        for name in ("x.html", "x.j2", "x.js", "x.txt", "x.svg", "x", None):
            assert _escapes(env, name or "")
        assert env.from_string("{{ x }}").render(x="<") == "&lt;"
    held = []
    for path in PACKAGE.rglob("*.py"):
        if "jinja2" in path.read_text("utf-8"):
            module = importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
            held += [value for value in vars(module).values() if isinstance(value, Environment)]
    assert {id(env) for env in held} == {id(env) for env in ENVIRONMENTS.values()}


PLANTED_TEMPLATES = {
    "{{ title|safe }}": "safe",
    "{{ Markup(title) }}": "Markup",
    "{{ title|mark_safe }}": "mark_safe",
    "{{ {'x': title}|xmlattr }}": "xmlattr",
    "{% autoescape false %}{{ title }}{% endautoescape %}": "changes the escaping",
    "{% include title %}": "name of a template",
    "{% extends title %}": "name of a template",
    "{{ title|format(1) }}": "data as a format",
    "{{ title.format(1) }}": "data as a format",
    "{{ '%s'.format_map(title) }}": "format_map",
    "<a title={{ title }}>x</a>": "no quotes",
    "<img alt=x{{ title }}>": "no quotes",
    "<a {{ title }}>x</a>": "name of an attribute",
    "<a data-{{ title }}='x'>x</a>": "name of an attribute",
    "<{{ title }}>": "does not end",
    "<h{{ title }}>x": "name of a tag",
    "<a href='{{ title }}'>x</a>": "any scheme",
    '<form action="{{ title }}">': "any scheme",
    "<a onclick=\"go('{{ title }}')\">x</a>": "data in onclick",
    '<iframe srcdoc="{{ title }}">': "data in srcdoc",
    '<a style="width:{{ title }}px">x</a>': "data in style",
    "<script>var t = '{{ title }}'</script>": "within <script>",
    '<script>var t = "x"</script><style>a:before{content:"{{ title }}"}</style>': "within <style>",
    "<a title='{{ title }}": "does not end",
}


@pytest.mark.parametrize("source", PLANTED_TEMPLATES)
def test_a_planted_template_is_found(source: str) -> None:
    env = adserve.snippet.templates.overlay()
    env.filters = {**env.filters, "mark_safe": str}
    faults = faults_of_template(env, "x.j2", source)
    assert any(PLANTED_TEMPLATES[source] in fault for fault in faults), faults


def test_a_good_template_has_no_fault_and_one_that_is_not_escaped_has() -> None:
    good = (
        "<!-- {{ title }} -->{# |safe #}<a class='x' href='{{ click }}' title='a {{ title }} > b'"
        "{% if x %} style=\"width:{{ width }}px\"{% endif %}>{{ title }}<br></a>{{ '%.1f'|format(share) }}"
    )
    assert faults_of_template(adserve.snippet.templates, "x.j2", good) == []
    for setting in (False, lambda name: name is not None and name.endswith(".html")):
        assert faults_of_template(Environment(autoescape=setting), "x.j2", good) == ["is rendered without escaping"]


# ---- modules


def faults_of_module(short: str, source: str) -> list[str]:
    """Text that becomes a template, markup, a format or a program."""
    faults = []
    for node in ast.walk(ast.parse(source)):
        said = f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)}" if isinstance(node, ast.expr) else ""
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            last = name.rpartition(".")[2]
            constant = bool(node.args) and all(isinstance(one, ast.Constant) for one in node.args)
            if last in ("Markup", "Html", "mark_safe", "format_html", "SafeString"):
                if not (constant or _is_allowed(short, node)):
                    faults.append(f"markup, {said}")
            elif last in ("from_string", "compile_expression", "Template", "NativeEnvironment", "format_map"):
                faults.append(f"template, {said}")
            elif last == "Environment":
                given = {one.arg: ast.unparse(one.value) for one in node.keywords}
                if given.get("autoescape") != "True":
                    faults.append(f"escaping, {said}")
            elif last in ("eval", "exec", "compile", "__import__", "loads", "load") and _runs(name):
                faults.append(f"program, {said}")
            elif last == "format" and isinstance(node.func, ast.Attribute) and not _is_constant(node.func.value):
                if name not in ("msgspec.json.format",):
                    faults.append(f"format, {said}")
            elif _logs(name) and not (node.args and _is_constant(node.args[0])):
                faults.append(f"log, {said}")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_text(node.right, node.left):
            faults.append(f"format, {said}")
        elif isinstance(node, ast.JoinedStr) and _is_markup(node) and not _is_allowed(short, node):
            faults.append(f"markup by hand, {said}")
    return faults


def _is_allowed(short: str, node: ast.expr) -> bool:
    """Whether an expression stands in the list, however it is laid out."""
    return any(ast.dump(node) == ast.dump(ast.parse(line, mode="eval").body) for line in ALLOWED.get(short, ()))


def _is_markup(node: ast.JoinedStr) -> bool:
    first = node.values[0]
    return isinstance(first, ast.Constant) and re.match(r"\s*<\w", str(first.value)) is not None


def _runs(name: str) -> bool:
    return name in ("eval", "exec", "compile", "__import__") or name.partition(".")[0] in ("pickle", "marshal", "yaml")


def _logs(name: str) -> bool:
    owner, _, level = name.rpartition(".")
    return owner in ("log", "logger", "logging") and level in (
        "debug", "info", "warning", "error", "exception", "critical",
    )  # fmt: skip


def _is_constant(node: ast.expr) -> bool:
    """A literal, a choice of two, a literal in `Markup(...)`, or a name of a constant of the module."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) == "Markup" and all(map(_is_constant, node.args))
    if isinstance(node, ast.IfExp):
        return _is_constant(node.body) and _is_constant(node.orelse)
    named = isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).rpartition(".")[2].isupper()
    return isinstance(node, ast.Constant) or named


def _is_text(right: ast.expr, left: ast.expr) -> bool:
    """Whether `left % right` is about text of which the left is no literal. Arithmetic is between names and numbers,
    which nobody can tell apart from the source, so only a tuple, a dict or text on the right says what it is."""
    return isinstance(right, ast.Tuple | ast.Dict | ast.JoinedStr) and not _is_constant(left)


def test_no_module_takes_text_for_a_template_a_format_or_a_program() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        short = path.relative_to(PACKAGE.parent).as_posix()
        assert faults_of_module(short, path.read_text("utf-8")) == [], short


@pytest.mark.parametrize(
    "line",
    [
        "Markup(title)", "markupsafe.Markup(f'{title}</b>')", "mark_safe(title)", "Html(title)",
        "env.from_string(title)",
        "jinja2.Template(title)", "Environment()", "Environment(autoescape=select_autoescape())",
        "Environment(autoescape=False)", "title.format(1)", "(title + 'x').format_map({})", "title % (1, 2)",
        "title % {'a': 1}", "log.info(title)", "logging.error(f'no {title}')", "log.warning()", "eval(title)",
        "pickle.loads(data)", "yaml.load(data)", "f'<b>{title}</b>'", "compile(title, '', 'exec')",
    ],
)  # fmt: skip
def test_a_planted_line_is_found(line: str) -> None:
    good = "Markup('<b>{}</b>').format(x)\nLINE.format(x)\nserial % 16\nb'%d' % (1,)\nlog.info('done', title=title)\n"
    good += "re.compile(x)\njson.loads(x)\nEnvironment(autoescape=True)\nf'{title}<'\n"
    assert faults_of_module("x.py", good) == []
    assert len(faults_of_module("x.py", good + line)) == 1


def test_what_the_allow_list_names_is_still_there() -> None:
    """A line that is gone would let another one in."""
    for short, lines in ALLOWED.items():
        tree = ast.parse((PACKAGE.parent / short).read_text("utf-8"))
        found = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.expr) and _is_allowed(short, n)}
        assert len(found) == len(lines)


def test_static_files_are_what_they_say() -> None:
    """What is sent as it lies holds no place for data and none of the service's own code or secrets."""
    for path in (PACKAGE / "web" / "static").rglob("*.*"):
        text = path.read_text("utf-8")
        assert path.suffix in (".js", ".css", ".svg", ".txt"), path
        found: Any = re.search(r"\{\{|\{%|<\?|<%|\bimport \w+\b.*\bfrom\b|def \w+\(|ADSERVE_|secret|redis", text)
        assert found is None, (path, found)
