"""Invitations and the browsers that came by them, at rest: of codes and tokens only the SHA-256 is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, insert, select, update

from pushdesk.model import InvitationFault
from pushdesk.storage.generations import raise_generations
from pushdesk.storage.records import Enrollment, Redemption
from pushdesk.storage.schema import enrollments, invitations, subscriptions
from pushdesk.storage.users import make_user

if TYPE_CHECKING:
    from pushdesk.storage.database import Database


class Invitations:
    """The invitations and enrollments of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user: str, code_digest: bytes, *, now_ms: int, expires_at_ms: int) -> bool:
        """Store a new invitation, and its user unless there is one.

        Returns:
            Whether the user was not known before.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            made_user = await make_user(transaction, user, now_ms)
            if made_user:
                # One who comes back is not to be mistaken for who was there before.
                await raise_generations(transaction, {user: None})
            await transaction.execute(
                insert(invitations).values(
                    code_digest=code_digest, user=user, created_at=now_ms, expires_at=expires_at_ms
                )
            )
        return made_user

    async def redeem(self, code_digest: bytes, *, enrollment: str, token_digest: bytes, now_ms: int) -> Redemption:
        """Use an invitation up and enroll a browser, in one transaction; of two at once one comes second.

        Args:
            code_digest: Of the invitation.
            enrollment: The id of the new enrollment.
            token_digest: Of its device token's secret.
            now_ms: The time.

        Raises:
            DatabaseError: Nothing was changed.
        """
        this = invitations.c.code_digest == code_digest
        async with self._database.write() as transaction:
            invitation = (await transaction.execute(select(invitations).where(this))).one_or_none()
            if invitation is None:
                return Redemption(None, InvitationFault.UNKNOWN)
            if invitation.used_at is not None:
                return Redemption(invitation.user, InvitationFault.USED)
            if invitation.expires_at <= now_ms:
                return Redemption(invitation.user, InvitationFault.EXPIRED)
            await transaction.execute(update(invitations).where(this).values(used_at=now_ms))
            await transaction.execute(
                insert(enrollments).values(
                    id=enrollment, user=invitation.user, token_digest=token_digest, created_at=now_ms
                )
            )
        return Redemption(invitation.user)

    async def enrollment(self, enrollment: str) -> Enrollment | None:
        """Return an enrollment, or None if it is not there.

        Raises:
            DatabaseError: It could not be read.
        """
        statement = (
            select(enrollments.c.user, enrollments.c.token_digest, subscriptions.c.id)
            .select_from(enrollments.outerjoin(subscriptions, subscriptions.c.enrollment == enrollments.c.id))
            .where(enrollments.c.id == enrollment)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else Enrollment(row.user, row.token_digest, row.id)

    async def is_invited(self, user: str) -> bool:
        """Whether a user has a subscription, be it active or not, of a browser that an invitation let in.

        Raises:
            DatabaseError: It could not be read.
        """
        statement = select(exists().where(subscriptions.c.user == user, subscriptions.c.enrollment.is_not(None)))
        async with self._database.read() as connection:
            return bool((await connection.execute(statement)).scalar_one())
