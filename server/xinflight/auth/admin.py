"""What admins may do for others, and the log of it."""

import structlog

from xinflight.auth.identity import Identity
from xinflight.errors import Forbidden, OutOfBounds

__all__ = ["acting_for", "audit", "check_admin"]

log = structlog.stdlib.get_logger(__name__)


def check_admin(identity: Identity) -> None:
    """Raise Forbidden unless the caller is an admin."""
    if not identity.admin:
        raise Forbidden


def acting_for(identity: Identity, owner: str | None, action: str, **about: object) -> str:
    """Return whose tasks a request is about: the caller's, or with `owner` those of anybody if an admin asks.

    Raises:
        Forbidden: the caller is not an admin; nobody else learns whether there is such an owner.
        OutOfBounds: no owner can have this id.
    """
    if owner is None:
        return identity.id
    if not identity.admin:
        raise Forbidden(field="owner")
    try:
        Identity(id=owner)
    except ValueError as error:
        raise OutOfBounds(field="owner", limit=str(error)) from None
    audit(identity, action, owner=owner, **about)
    return owner


def audit(identity: Identity, action: str, **about: object) -> None:
    """Log what an admin does: who, what, and whom it is about."""
    log.info("admin action", admin=identity.id, action=action, **about)
