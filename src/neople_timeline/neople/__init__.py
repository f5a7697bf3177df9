"""The API's protocol, the pace at which it may be asked, and all HTTP to it."""
