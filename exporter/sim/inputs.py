"""
Inputs: what a workflow declares, a launch plan fixes or defaults, and a launch gives.

Types are compared where both sides are plain values; whatever else there is passes.

Source: flyteadmin `launch_plan_validator.go`, `execution_validator.go`, `validation.go`.
"""

from typing import Any

from flyteidl.core import interface_pb2, types_pb2

from exporter.sim.refusal import invalid, printed_message

_PLAIN = {
    "integer": types_pb2.INTEGER,
    "float_value": types_pb2.FLOAT,
    "string_value": types_pb2.STRING,
    "boolean": types_pb2.BOOLEAN,
    "datetime": types_pb2.DATETIME,
    "duration": types_pb2.DURATION,
}


def expected_inputs(interface: Any, spec: Any) -> Any:
    """
    Return what a launch must or may give: the workflow's inputs that the plan leaves free.

    Args:
        interface: Of the workflow.
        spec: Of the launch plan.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    declared = interface.inputs.variables
    for name in spec.default_inputs.parameters:
        if name not in declared:
            raise invalid(f"unexpected default_input {name}")
    for name, literal in spec.fixed_inputs.literals.items():
        if name not in declared:
            raise invalid(f"unexpected fixed_input {name}")
        if difference := _difference(declared[name].type, literal):
            wanted, found = difference
            raise invalid(
                f"invalid fixed_input wrong type {name}, expected {wanted}, got {found} instead"
            )
    expected = interface_pb2.ParameterMap()
    for name, variable in declared.items():
        if name in spec.default_inputs.parameters:
            expected.parameters[name].CopyFrom(spec.default_inputs.parameters[name])
        elif name not in spec.fixed_inputs.literals:
            expected.parameters[name].var.CopyFrom(variable)
            expected.parameters[name].required = True
    return expected


def refuse_empty_inputs(given: Any) -> None:
    """
    Check that every input of a launch has a value.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    for name, literal in given.literals.items():
        if literal.WhichOneof("value") is None:
            raise invalid(f"missing valid literal in inputs {name}")


def refuse_other_inputs(given: Any, expected: Any) -> None:
    """
    Check that a launch gives what its plan expects.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    for name in given.literals:
        if name not in expected.parameters:
            raise invalid(f"invalid input {name}")
    for name, parameter in expected.parameters.items():
        if name not in given.literals:
            if parameter.required:
                raise invalid(f"expected_inputs {name} missing")
        elif difference := _difference(parameter.var.type, given.literals[name]):
            wanted, found = difference
            raise invalid(f"invalid {name} input wrong type. Expected {wanted}, but got {found}")


def _difference(declared: Any, literal: Any) -> tuple[str, str] | None:
    """Return the printed types of what is *declared* and given, None unless they differ."""
    plain = _PLAIN.get(literal.scalar.primitive.WhichOneof("value") or "")
    if plain is None or declared.simple not in _PLAIN.values() or declared.simple == plain:
        return None
    wanted = types_pb2.LiteralType(simple=declared.simple)
    return printed_message(wanted), printed_message(types_pb2.LiteralType(simple=plain))
