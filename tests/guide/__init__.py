"""The implementation guide: its pages, its package, its licences."""
