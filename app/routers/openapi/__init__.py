"""The OpenAPI document: what the routes declare, told in reading order with examples, errors and schemas."""
