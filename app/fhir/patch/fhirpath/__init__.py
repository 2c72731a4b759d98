"""FHIRPath Patch (R4, fhirpatch.html): a Parameters resource whose paths say what to change."""
