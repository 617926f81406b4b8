"""The client: classifies images through an exported model, on a server or in this process."""
