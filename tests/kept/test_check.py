"""`dermatome check` finds each kind of damage; each is planted here in a database that was sound."""

import httpx
import pytest
from sqlalchemy import text

from app.keeping_commands.checking import check
from app.service import Service
from app.store.kept.found import KINDS, REPAIRABLE, Findings
from tests.builders import bundle, entry, observation, patient
from tests.restoring import save

_OWN = "(SELECT vid FROM version WHERE type = 'Patient' AND id = 'p' AND version = 2)"
_OUTBOX = (
    "INSERT INTO outbox (target, type, id, version, vid, patient, state, attempts, not_before, owner, leased_until, "
    "blocked_by, status, reason, created_at) "
    "VALUES ('t', 'Patient', 'p', 9, 1, '', 'pending', 0, 0, '', 0, '', 0, '', 0)"
)
_LEDGER = (
    "INSERT INTO ledger (target, type, id, version, deleted, remote_id, remote_version, remote_etag, remote_updated, "
    "delivered_at, verified) VALUES ('t', 'Patient', 'p', 9, {no}, '', '', '', 0, 0, 'answer')"
)
_AUDIT = (
    "INSERT INTO audit (at, actor, request_id, method, type, id, version) "
    "VALUES (0, '', '', 'PUT', 'Patient', 'nobody', 1)"
)
DAMAGE = {
    "no-current": f"UPDATE version SET until = 5 WHERE vid = {_OWN}",
    "not-newest": "DELETE FROM version WHERE type = 'Patient' AND id = 'p' AND version = 1",
    "no-content": f"DELETE FROM content WHERE vid = {_OWN}",
    "extra-content": "UPDATE content SET vid = 999999 WHERE vid = " + _OWN,
    "changed-content": f"UPDATE content SET digest = {{blob}} WHERE vid = {_OWN}",
    "unreadable-content": f"UPDATE version SET id = 'q' WHERE vid = {_OWN}",
    "unproven-content": f"UPDATE content SET digest = NULL WHERE vid = {_OWN}",
    "wrong-values": f"DELETE FROM search_token WHERE param = 'active' AND vid = {_OWN}",
    "extra-values": "UPDATE search_token SET vid = 999999 WHERE vid = " + _OWN,
    "lost-item": _OUTBOX,
    "wrong-ledger": _LEDGER,
    "no-audit": "DELETE FROM audit WHERE type = 'Patient' AND id = 'p' AND version = 2",
    "extra-audit": _AUDIT,
    "dangling": "UPDATE search_reference SET target_id = 'nobody' WHERE type = 'Observation' AND target_id = 'p'",
}


async def found(service: Service, *, repair: bool = False) -> Findings:
    return await check(service.database, service.parameters, "", lambda _: None, repair=repair)


@pytest.mark.own_server
async def test_each_kind_of_damage_is_found(client: httpx.AsyncClient) -> None:
    service: Service = client._transport.app.state.service  # type: ignore[attr-defined]
    for name in ("a", "b"):
        await client.put("/fhir/Patient/p", json=patient(id="p", active=True, name=[{"family": name}]))
    # As one is read and sent back: the number of the version before is no word of this one.
    for number in ("1", "48151"):
        known = observation(id="read", valueInteger=len(number), meta={"versionId": number})
        await client.put("/fhir/Observation/read", json=known)
    absolute = observation("http://dermatome.test/fhir/Patient/p", note=[{"text": "Words of a note"}])
    await client.post("/fhir", json=bundle(entry(observation("Patient/p")), entry(absolute)))
    await service.reindexer.work()
    sound = await found(service)
    assert not sound.has_damage, sound
    assert sound.compared > 3

    assert {*DAMAGE} == {*KINDS}
    is_sqlite = service.database.is_sqlite
    terms = {"no": "0" if is_sqlite else "false", "blob": "x'00'" if is_sqlite else "'\\x00'::bytea"}
    before = await save(service.database.url)
    for kind, statement in DAMAGE.items():
        async with service.database.writing() as connection:
            # Whoever damages it has taken away what keeps the audit as it is.
            guards = ("DROP TRIGGER IF EXISTS audit_update", "DROP TRIGGER IF EXISTS audit_delete")
            for each in guards if is_sqlite else ("SET LOCAL session_replication_role = replica",):
                await connection.execute(text(each))
            await connection.execute(text(statement.format(**terms).replace(":", "\\:")))
        damaged = await found(service)
        repaired = await found(service, repair=True) if kind in REPAIRABLE else damaged
        again = await found(service) if kind in REPAIRABLE else damaged
        await before.restore()

        assert damaged.counts[kind], kind
        assert damaged.examples[kind]
        if kind in REPAIRABLE:
            assert damaged.has_damage, kind
            assert repaired.repaired[kind], kind
            assert not again.counts[kind], kind
    await before.close()
