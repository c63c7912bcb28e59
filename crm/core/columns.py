"""Rows read for their names alone: most columns of a colleague or a company are not shown beside a lead."""

NAMES = ("username", "first_name", "last_name")  # of which a colleague's name is made


def but(model, prefix, *shown):
    """For ``defer``: the columns of the relation ``prefix`` without its key and those that are shown."""
    fields = (field for field in model._meta.concrete_fields if not field.primary_key and field.name not in shown)
    return [f"{prefix}__{field.name}" for field in fields]
