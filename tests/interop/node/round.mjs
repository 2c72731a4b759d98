// What an integration built on fhir-kit-client does. Argument: the FHIR base. Ends with 1 and a reason if an answer is
// not as R4 says.
import assert from 'node:assert/strict';
import { Client } from 'fhir-kit-client';

const client = new Client({ baseUrl: process.argv[2] });
const MRN = 'urn:oid:1.2.3|kit-1';
const patient = { resourceType: 'Patient', identifier: [{ system: 'urn:oid:1.2.3', value: 'kit-1' }], active: true };
const observation = (subject, code) => ({
  resourceType: 'Observation', status: 'final', subject: { reference: subject },
  code: { coding: [{ system: 'https://example.org/codes', code }] },
});
const statusOf = answer => Client.httpFor(answer).response.status;
const refusal = async asked => asked.then(() => assert.fail('was not refused'), error => error.response.status);

const capabilities = await client.capabilityStatement();
assert.equal(capabilities.fhirVersion, '4.0.1');

const created = await client.create({ resourceType: 'Patient', body: patient });
const { id } = created;
assert.equal(statusOf(created), 201);
const again = { 'If-None-Exist': `identifier=${MRN}` };
assert.equal(statusOf(await client.create({ resourceType: 'Patient', body: patient, options: { headers: again } })), 200);

const changed = await client.update({ resourceType: 'Patient', id, body: { ...created, gender: 'female' } });
assert.equal(changed.meta.versionId, '2');
const patched = await client.patch({
  resourceType: 'Patient', id, jsonPatch: [{ op: 'replace', path: '/active', value: false }],
});
assert.deepEqual([patched.active, patched.meta.versionId], [false, '3']);
const updated = await client.update({
  resourceType: 'Patient', searchParams: { identifier: MRN }, body: { ...patient, birthDate: '1970-01-02' },
});
assert.deepEqual([updated.id, updated.birthDate], [id, '1970-01-02']);
assert.equal((await client.vread({ resourceType: 'Patient', id, version: '2' })).gender, 'female');
assert.equal((await client.history({ resourceType: 'Patient', id })).total, 4);

const transaction = await client.transaction({
  body: {
    resourceType: 'Bundle', type: 'transaction',
    entry: ['a', 'b', 'c'].map(code => ({
      resource: observation(`Patient?identifier=${MRN}`, code), request: { method: 'POST', url: 'Observation' },
    })),
  },
});
assert.deepEqual(transaction.entry.map(one => one.response.status.slice(0, 3)), ['201', '201', '201']);

const seen = [];
let page = await client.search({ resourceType: 'Observation', searchParams: { patient: id, _count: '2', _sort: 'code' } });
while (page) {
  seen.push(...page.entry.map(one => one.resource.code.coding[0].code));
  page = await client.nextPage({ bundle: page });
}
assert.deepEqual(seen, ['a', 'b', 'c']);
const posted = await client.search({
  resourceType: 'Observation', searchParams: { code: 'b' }, options: { postSearch: true },
});
assert.equal(posted.total, 1);
const inCompartment = await client.search({ resourceType: 'Observation', compartment: { resourceType: 'Patient', id } });
assert.equal(inCompartment.total, 3);
const batch = await client.batch({
  body: { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: `Patient/${id}` } }] },
});
assert.equal(batch.entry[0].resource.id, id);

const throwaway = await client.create({ resourceType: 'Patient', body: { resourceType: 'Patient' } });
await client.delete({ resourceType: 'Patient', id: throwaway.id });
assert.equal(await refusal(client.read({ resourceType: 'Patient', id: throwaway.id })), 410);
assert.equal(await refusal(client.create({ resourceType: 'Patient', body: { resourceType: 'Patient', active: 'x' } })), 400);
