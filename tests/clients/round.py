"""Creates, reads and searches with the client that openapi-python-client makes: round.py ADDRESS BODY.

Run in the environment of the generator, which has nothing of ours.
"""

import json
import sys

from dermatome_client import Client
from dermatome_client.api.fhir import create, read, search
from dermatome_client.models import Bundle, OperationOutcome, PainIntensity, Resource


def main(address: str, body: str) -> None:
    client = Client(base_url=address)
    observation = PainIntensity.from_dict(json.loads(body))

    made = create.sync_detailed("Observation", client=client, body=observation)
    assert isinstance(made.parsed, Resource)
    one = read.sync("Observation", made.parsed.id, client=client)
    assert isinstance(one, Resource)
    found = search.sync("Observation", client=client, patient=observation.subject.reference)
    assert isinstance(found, Bundle)
    observation.category = []
    refused = create.sync("Observation", client=client, body=observation)
    assert isinstance(refused, OperationOutcome)

    told = {
        "made": int(made.status_code),
        "read": one.resource_type,
        "found": [each.resource.id == made.parsed.id for each in found.entry],
        "refused": [str(each.severity.value) for each in refused.issue],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
