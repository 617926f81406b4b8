"""StarCraft II: count the marines of a battle on the full screen, told where to look by the game's minimap."""
