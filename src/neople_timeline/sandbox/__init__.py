"""An imitation of the Neople Open API, which shares no code with the client, and the local stack, which runs all."""
