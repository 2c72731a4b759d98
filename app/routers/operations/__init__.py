"""Operations: one table, from which routes, CapabilityStatement and OpenAPI are made, and a handler for each."""
