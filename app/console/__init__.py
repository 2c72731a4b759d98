"""The console: one page for people, in the browser, over the same addresses that programs use."""
