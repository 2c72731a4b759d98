"""What a problem is told with: the report, the sentences, the suggested fixes."""
