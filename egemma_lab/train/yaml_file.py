"""YAML as people write it: 1e-3 is a number, a key given twice is an error."""

import re

import yaml


class _Loader(yaml.SafeLoader):
    """SafeLoader plus YAML 1.2's floats: PyYAML reads 1e-3 as a string, since YAML 1.1 wants 1.0e-3."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.endswith(":merge"):
                continue
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is given twice, again in line {line}"
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def parse_yaml(text):
    """One YAML value.

    >>> parse_yaml("1e-3"), parse_yaml("[64, 32]"), parse_yaml("pca"), parse_yaml("true")
    (0.001, [64, 32], 'pca', True)
    >>> parse_yaml("{shared: &shared {a: 1, b: 2}, own: {<<: *shared, b: 3}}")["own"]
    {'a': 1, 'b': 3}
    """
    return yaml.load(text, Loader=_Loader)


def read_yaml(path):
    """The mapping in the file `path`; an empty file is an empty mapping."""
    try:
        value = parse_yaml(path.read_text(encoding="utf-8"))
    # ValueError: not UTF-8, or a date or a number that cannot be; RecursionError: nested beyond all bounds
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{path} must hold 'name: value' lines, one a field of the recipe")
    return value


def write_yaml(path, value):
    """Write a mapping, its keys in the order they have."""
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), encoding="utf-8")
