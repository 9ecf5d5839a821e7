"""The command line, and what it prints: tables, progress, pages. A verb's module in verbs/ is imported when the verb is called."""
