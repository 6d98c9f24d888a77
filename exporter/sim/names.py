"""
Names that end up in Kubernetes: Admin checks them with Kubernetes' own rules and words.

Source: k8s.io/apimachinery `pkg/util/validation`, flyteadmin `validation.go`.
"""

import re
from typing import Any

from exporter.sim.refusal import invalid

_LONGEST = 63
_LONGEST_PREFIX = 253
_MOST_LABELS = 16

_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"

_EMPTY = "must be non-empty"
_ENDS = "and must start and end with an alphanumeric character"
_NO_DNS_LABEL = (
    f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {_ENDS}"
    f" (e.g. 'my-name',  or '123-abc', regex used for validation is '{_DNS_LABEL}')"
)
_NO_DNS_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or"
    f" '.', {_ENDS} (e.g. 'example.com', regex used for validation is '{_DNS_SUBDOMAIN}')"
)
_NOT_QUALIFIED = (
    f"must consist of alphanumeric characters, '-', '_' or '.', {_ENDS}"
    f" (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_NO_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.',"
    f" {_ENDS} (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    f" '{_LABEL_VALUE}')"
)


def refuse_bad_project_id(identifier: str) -> None:
    """
    Check that *identifier* can be part of a namespace.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    faults = _too_long(identifier)
    if not re.fullmatch(_DNS_LABEL, identifier):
        has_dots = re.fullmatch(_DNS_SUBDOMAIN, identifier)
        faults.append("must not contain dots" if has_dots else _NO_DNS_LABEL)
    if faults:
        raise invalid(f"invalid project id [{identifier}]: [{' '.join(faults)}]")


def refuse_bad_labels(labels: Any) -> None:
    """
    Check that *labels* can be labels of a pod.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if len(labels.values) > _MOST_LABELS:
        raise invalid(f"labels map cannot exceed {_MOST_LABELS} entries")
    for key, value in labels.values.items():
        if faults := _key_faults(key):
            raise invalid(f"invalid label key [{key}]: [{' '.join(faults)}]")
        faults = _too_long(value)
        if not re.fullmatch(_LABEL_VALUE, value):
            faults.append(_NO_LABEL_VALUE)
        if faults:
            raise invalid(f"invalid label value [{value}]: [{' '.join(faults)}]")


def _key_faults(key: str) -> list[str]:
    *prefixes, name = key.split("/")
    if len(prefixes) > 1:
        optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a qualified name {_NOT_QUALIFIED} {optional}"]
    faults = [f"prefix part {fault}" for prefix in prefixes for fault in _prefix_faults(prefix)]
    faults += [f"name part {fault}" for fault in (_too_long(name) if name else [_EMPTY])]
    if not re.fullmatch(_QUALIFIED, name):
        faults.append(f"name part {_NOT_QUALIFIED}")
    return faults


def _prefix_faults(prefix: str) -> list[str]:
    if not prefix:
        return [_EMPTY]
    faults = _too_long(prefix, _LONGEST_PREFIX)
    if not re.fullmatch(_DNS_SUBDOMAIN, prefix):
        faults.append(_NO_DNS_SUBDOMAIN)
    return faults


def _too_long(text: str, limit: int = _LONGEST) -> list[str]:
    too_long = len(text.encode()) > limit
    return [f"must be no more than {limit} characters"] if too_long else []
