"""An imitation of the Neople Open API and the local stack around it; shares no code with the client."""
