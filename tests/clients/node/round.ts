// Creates, reads and searches with the types that openapi-typescript makes; round.ts ADDRESS BODY
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type PainIntensity = components["schemas"]["PainIntensity"];

export async function round(address: string, body: PainIntensity): Promise<object> {
  const client = createClient<paths>({ baseUrl: address });
  const path = { resource_type: "Observation" };

  const made = await client.POST("/fhir/{resource_type}", { params: { path }, body });
  const id = made.data?.id ?? "";
  const read = await client.GET("/fhir/{resource_type}/{resource_id}", { params: { path: { ...path, resource_id: id } } });
  const patient = body.subject.reference;
  const found = await client.GET("/fhir/{resource_type}", { params: { path, query: { patient } } });
  const refused = await client.POST("/fhir/{resource_type}", { params: { path }, body: { ...body, category: [] } });

  return {
    made: made.response.status,
    read: read.data?.resourceType,
    found: found.data?.entry?.map((each) => each.resource?.id === id),
    refused: refused.error?.issue.map((each) => each.severity),
  };
}
