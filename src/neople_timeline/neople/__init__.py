"""The API's protocol, the pace at which it may be asked, and the only HTTP of the project."""
