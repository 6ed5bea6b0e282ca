"""Templates of the console against each other."""

from __future__ import annotations

from jinja2 import nodes

from adserve.web.console.view import templates


def test_a_template_takes_what_is_there_and_what_it_uses() -> None:
    """Each macro that it imports, and each argument of its own: one that is missing fails when it is called first."""
    found: list[tuple[str, str]] = []
    trees = {name: _tree(name) for name in templates.list_templates(["j2"])}
    for name, tree in trees.items():
        used = _read(tree)
        for taken in tree.find_all(nodes.FromImport):
            assert isinstance(taken.template, nodes.Const)
            there = {one.name for one in trees[taken.template.value].find_all(nodes.Macro)}
            pairs = [(one, one) if isinstance(one, str) else one for one in taken.names]
            found += [(name, one) for one, own in pairs if one not in there or own not in used]
        for macro in tree.find_all(nodes.Macro):
            found += [(name, f"{macro.name}({one.name})") for one in macro.args if one.name not in _read(macro)]
    assert trees
    assert found == []


def _tree(name: str) -> nodes.Template:
    assert templates.loader is not None
    return templates.parse(templates.loader.get_source(templates, name)[0])


def _read(tree: nodes.Node) -> set[str]:
    return {one.name for one in tree.find_all(nodes.Name) if one.ctx == "load"}
