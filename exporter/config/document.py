"""
Text becomes plain values that remember where they stood.

Only the part of YAML that a configuration needs is read, and it is read by the rules of YAML 1.2:
under those of 1.1, `1:30` is the number 90, `010` is 8, `off` is false and `2024-01-01` a date,
and nobody who writes a duration or a name means that. Such text stays text here.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from exporter.config.problems import shown

KeyPath = tuple[str | int, ...]
"""Where a value is: keys of mappings and indexes of lists, from the top."""

_BOOL, _FLOAT, _INT, _LIST, _MAP, _NULL, _TEXT = (
    f"tag:yaml.org,2002:{name}" for name in ("bool", "float", "int", "seq", "map", "null", "str")
)


_PLAIN = {
    _BOOL: (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), "tTfF"),
    _NULL: (re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    # Eighteen digits: more than any setting takes, less than what makes int() itself refuse.
    _INT: (re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\Z"), "-+0123456789"),
    _FLOAT: (
        re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?\Z"),
        "-+.0123456789",
    ),
}
"""What text without quotes stands for: by tag, its form and the characters it may begin with."""


_QUOTING = re.compile(r"(found undefined alias|duplicate tag handle|found undefined tag handle) .*")
"""What PyYAML says with somebody's text after it: a password may begin with `*`, `&` or `!`."""

_ADVICE = {
    "\\t": "indent with spaces, not tabs",
    "<block end>": "check the indentation of this line, and quotes",
    "<stream end>": "something above is not closed",
    "single document": "remove all but one",
    "": "put text with special characters in quotes",
}
"""What helps against what PyYAML says, by words in it; the first that fits."""


class _Loader(yaml.SafeLoader):
    """PyYAML's, without its own idea of plain text."""


_Loader.yaml_implicit_resolvers = {}
for _tag, (_form, _starts) in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, _form, list(_starts))


class Fault(NamedTuple):
    """Something in the text that cannot be read, and where; line and column count from 1."""

    path: KeyPath
    sentence: str
    line: int | None
    column: int | None


class MalformedError(Exception):
    """The text is not YAML, so there is nothing to look at further."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault.sentence)


class Unread:
    """Stands where a value could not be read; a fault says why, so nothing more need be said."""


UNREAD = Unread()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What one text holds."""

    value: object
    """Mappings, lists, text, numbers, booleans and None; `UNREAD` where there is a fault."""
    faults: tuple[Fault, ...]
    root: yaml.Node | None
    """None when the text holds nothing."""

    def place(self, path: KeyPath, *, of_key: bool = False) -> tuple[int, int] | None:
        """
        Return line and column of what stands at *path*, from 1; None when nothing does.

        Args:
            path: From the top of the document.
            of_key: Give the place of the key instead of that of its value.
        """
        node, key = self.root, self.root
        for part in path:
            match node:
                case yaml.MappingNode():
                    key, node = next(
                        (pair for pair in node.value if _key(pair[0]) == part), (None, None)
                    )
                case yaml.SequenceNode() if isinstance(part, int) and part < len(node.value):
                    key = node = node.value[part]
                case _:
                    return None
        chosen = key if of_key else node
        return None if chosen is None else _place(chosen)


def decoded(content: bytes) -> str:
    """
    Return the text of a file.

    Raises:
        MalformedError: It is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        sentence = "not UTF-8 text; save it in that encoding."
        column = len(before) - before.rfind(b"\n")
        raise MalformedError(Fault((), sentence, before.count(b"\n") + 1, column)) from None


def read(text: str) -> Document:
    """
    Read *text*.

    Raises:
        MalformedError: It is not YAML.
    """
    try:
        root = _compose(text)
        builder = _Builder()
        value = None if root is None else builder.build(root, ())
    except yaml.MarkedYAMLError as error:
        # PyYAML's own text quotes the line, and a secret may be on it: it goes no further.
        raise MalformedError(_syntax_fault(error)) from None
    except yaml.reader.ReaderError as error:
        raise MalformedError(_character_fault(text, error)) from None
    except RecursionError as error:
        fault = Fault((), "not usable: lists or mappings are nested too deeply.", None, None)
        raise MalformedError(fault) from error
    except (ValueError, OverflowError) as error:
        # PyYAML hands an escape such as "\UFFFFFFFF" to chr(), which knows no place in the text.
        fault = Fault((), "not valid YAML: an escape sequence names no character.", None, None)
        raise MalformedError(fault) from error
    return Document(value=value, faults=tuple(builder.faults), root=root)


def is_text(text: str) -> bool:
    """Whether *text* without quotes would be read as text."""
    return not any(form.match(text) for form, _ in _PLAIN.values())


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


@dataclass(slots=True)
class _Builder:
    """
    Turns nodes into values, each node once.

    Once, because a few aliases of aliases would otherwise grow into billions of values.
    """

    faults: list[Fault] = field(default_factory=list)
    _built: dict[int, object] = field(default_factory=dict)

    def build(self, node: yaml.Node, path: KeyPath) -> object:
        """Return the value of *node*, noting what is wrong in it."""
        if id(node) not in self._built:
            # While its parts are built, a node that holds itself finds this.
            self._built[id(node)] = UNREAD
            self._built[id(node)] = self._value(node, path)
        elif self._built[id(node)] is UNREAD:
            self._fault(
                node,
                path,
                "not usable: this value contains itself, or repeats one that cannot be read.",
            )
        return self._built[id(node)]

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        match node:
            case yaml.MappingNode(tag=tag) if tag == _MAP:
                return self._mapping(node, path)
            case yaml.SequenceNode(tag=tag) if tag == _LIST:
                return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            case yaml.ScalarNode(tag=tag) if tag in {_TEXT, _plain_tag(node)}:
                return _scalar(node)
            case _:
                # Which one is not said: a password may begin with an exclamation mark.
                sentence = "YAML tags (!...) are not supported; remove it, or quote text with !."
                self._fault(node, path, sentence)
                return UNREAD

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        values: dict[str, object] = {}
        first: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            key = _key(key_node)
            if key is None:
                self._fault(key_node, path, "expected the name of a setting before the colon.")
            elif key in values:
                line, _ = _place(first[key])
                self._fault(key_node, (*path, key), f"already set on line {line}; keep one.")
            else:
                first[key] = key_node
                values[key] = self.build(value_node, (*path, key))
        return values

    def _fault(self, node: yaml.Node, path: KeyPath, sentence: str) -> None:
        self.faults.append(Fault(path, sentence, *_place(node)))


def _key(node: yaml.Node) -> str | None:
    """Return a key as it was written, so that a misspelt `on` or `1` is shown as such."""
    return node.value if isinstance(node, yaml.ScalarNode) else None


def _plain_tag(node: yaml.ScalarNode) -> str:
    """Return the tag that the same text would have without an explicit one."""
    return next((tag for tag, (form, _) in _PLAIN.items() if form.match(node.value)), _TEXT)


def _scalar(node: yaml.ScalarNode) -> object:
    match node.tag:
        case tag if tag == _NULL:
            return None
        case tag if tag == _BOOL:
            return node.value.lower() == "true"
        case tag if tag == _INT:
            return int(node.value)
        case tag if tag == _FLOAT:
            return float(node.value)
        case _:
            return node.value


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _syntax_fault(error: yaml.MarkedYAMLError) -> Fault:
    detail = error.problem or error.context or "its structure is broken"
    if detail.startswith("but ") and error.context:
        detail = f"{error.context}, {detail}"
    detail = _QUOTING.sub(r"\1", detail)
    advice = next(advice for symptom, advice in _ADVICE.items() if symptom in detail)
    sentence = f"not valid YAML: {shown(detail)}; {advice}."
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Fault((), sentence, None, None)
    return Fault((), sentence, mark.line + 1, mark.column + 1)


def _character_fault(text: str, error: yaml.reader.ReaderError) -> Fault:
    before = text[: error.position]
    sentence = f"not valid YAML: the character U+{error.character:04X} cannot stand in it."
    return Fault((), sentence, before.count("\n") + 1, len(before) - before.rfind("\n"))
