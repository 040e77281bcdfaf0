"""Recipes: YAML with positions, read into typed, checked, complete values, and written back."""

from seqapps.recipe.dumping import dump_recipe
from seqapps.recipe.reading import load_recipe
from seqapps.recipe.recipe import Recipe
from seqapps.recipe.schema import FieldDescription, describe_fields
from seqapps.recipe.spec import Mark, Spec

__all__ = ["FieldDescription", "Mark", "Recipe", "Spec", "describe_fields", "dump_recipe", "load_recipe"]
