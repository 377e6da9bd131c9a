"""What is in force: an environment's own values over its templates over `default`.

The last template wins over those before it. Every item says which layer it comes from.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from contracts.config_types import Change, Item, Overlay, TemplatePin, to_json

Items = Mapping[str, Item]


def resolve(
    base: Items, templates: Sequence[TemplatePin], own: Items, *, at: datetime, by: str
) -> dict[str, Item]:
    """Lay the layers over each other; `at` and `by` stand on what a template sets."""
    items = dict(base)
    for pin in templates:
        for key, value in pin.values.items():
            items[key] = Item(
                value=value,
                source=f"template:{pin.name}@{pin.version}",
                since=pin.version,
                created_at=at,
                set_at=at,
                set_by=by,
            )
    items.update(own)
    return dict(sorted(items.items()))


def same(one: Item | None, other: Item | None) -> bool:
    """Say whether two items mean the same, whenever and by whomever they were set."""
    if one is None or other is None or one is other:
        return one is other
    if one.secret != other.secret or one.tags != other.tags:
        return False
    return _as_one(one.value, other.value)


def _as_one(one: JsonValue, other: JsonValue) -> bool:
    # 1, 1.0 and true are equal in Python, and are three configurations; so are 0.0 and -0.0.
    if type(one) is not type(other):
        return False
    if isinstance(one, (str, int)):
        return one == other
    return to_json(one) == to_json(other)


def differences(before: Items, after: Items) -> tuple[Change, ...]:
    """Say what became of every key that is not the same; never the value of a secret."""
    return tuple(
        _change(key, before.get(key), after.get(key))
        for key in sorted({*before, *after})
        if not same(before.get(key), after.get(key))
    )


def _change(key: str, before: Item | None, after: Item | None) -> Change:
    # Not validated again: a release has thousands of keys, and their items were.
    return Change.model_construct(
        key=key,
        before=None if before is None or before.secret else before.value,
        after=None if after is None or after.secret else after.value,
        was=before is not None,
        stays=after is not None,
        secret=any(one is not None and one.secret for one in (before, after)),
    )


def shadowed(changed: Iterable[str], own: Items) -> list[str]:
    """Say which of these keys, changed in `default`, an environment sets itself."""
    return sorted(key for key in changed if key in own)


def hash_of(items: Items, overlay: Overlay | None) -> str:
    """Hash what is in force: the same configuration is the same hash in whichever version."""
    document = {
        "items": {key: _said(item) for key, item in items.items()},
        "overlay": None
        if overlay is None
        else {
            "items": {key: _said(item) for key, item in overlay.items.items()},
            "members": list(overlay.members),
        },
    }
    return hashlib.sha256(to_json(document)).hexdigest()


def _said(item: Item) -> list[object]:
    return [item.value, item.secret, list(item.tags)]
