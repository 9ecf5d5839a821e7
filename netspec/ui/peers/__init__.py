"""The same net in other libraries, and processes of their own to time each in. Nothing here is loaded but for comparing."""
