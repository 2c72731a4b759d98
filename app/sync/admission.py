"""Whether a target can be worked with from here: its secrets are there, and its addresses may be called."""

from app.outbound import Guard, Secrets
from app.sync.targets import Smart, Target


def problems_here(
    target: Target, secrets: Secrets | None, guard: Guard, *, is_operators: bool
) -> list[tuple[str, str]]:
    """What is in the way: (where, why).

    secrets: None in a process that sends nothing, and so need not have them. is_operators: the target stands in the
    file, where private addresses are the operator's own choice.
    """
    addresses = [("base_url", target.base_url)]
    if isinstance(target.auth, Smart) and target.auth.token_url:
        addresses.append(("auth.token_url", target.auth.token_url))
    judge = guard.own if is_operators else guard.problems
    found = [(where, why) for where, url in addresses for why in judge(url)]
    if secrets is not None:
        found += [(where, f"There is no secret {name}.") for where, name in target.secrets if not secrets.has(name)]
    return found
