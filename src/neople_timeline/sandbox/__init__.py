"""An imitation of the Neople Open API, written from its documents; it shares no code with the client."""
