"""What Django's own settings pages say, listed so that our catalogue may say it in its own way.

Django puts a table's name into its sentences as it stands, which in Russian needs a case that it cannot know
(«Добавить команда»). An application's catalogue goes before Django's; the sentences there need no case.
"""

from django.utils.translation import gettext_noop, ngettext_lazy

TITLES = [
    gettext_noop("None available"),
    gettext_noop("%(app)s administration"),
    gettext_noop("Select %s to change"),
    gettext_noop("Select %s to view"),
    gettext_noop("Add %s"),
    gettext_noop("Change %s"),
    gettext_noop("View %s"),
    gettext_noop("Cannot delete %(name)s"),
]
BUTTONS = [
    gettext_noop("Yes, I’m sure"),  # noqa: RUF001
    gettext_noop("Delete multiple objects"),
    gettext_noop("Summary"),
    gettext_noop("Objects"),
    gettext_noop("%(counter)s selected"),
    gettext_noop("Add %(name)s"),
    gettext_noop("Add another %(verbose_name)s"),
    gettext_noop("Add another %(model)s"),
    gettext_noop("Change selected %(model)s"),
    gettext_noop("Delete selected %(model)s"),
    gettext_noop("View selected %(model)s"),
    gettext_noop("Delete selected %(verbose_name_plural)s"),
    gettext_noop("Save and add another"),
    gettext_noop("Save and continue editing"),
    gettext_noop("No, take me back"),
    gettext_noop("Enable password-based authentication"),
    gettext_noop("Enable password-based authentication for this user by setting a password."),
    gettext_noop("This action will <strong>enable</strong> password-based authentication for this user."),
    gettext_noop("Start typing to filter…"),
    gettext_noop(
        "This object doesn’t have a change history. It probably wasn’t added via this admin site."  # noqa: RUF001
    ),
]
DONE = [
    gettext_noop("The {name} “{obj}” was added successfully."),
    gettext_noop("The {name} “{obj}” was added successfully. You may add another {name} below."),
    gettext_noop("The {name} “{obj}” was changed successfully. You may edit it again below."),
    gettext_noop("The {name} “{obj}” was changed successfully. You may add another {name} below."),
    gettext_noop("The {name} “{obj}” was changed successfully."),
    gettext_noop("The %(name)s “%(obj)s” was deleted successfully."),
    gettext_noop("Successfully deleted %(count)d %(items)s."),
    gettext_noop("%(name)s with ID “%(key)s” doesn’t exist. Perhaps it was deleted?"),
    ngettext_lazy("%(count)s %(name)s was changed successfully.", "%(count)s %(name)s were changed successfully."),
]
DELETING = [
    gettext_noop(
        'Are you sure you want to delete the %(object_name)s "%(escaped_object)s"? All of the following related items '
        "will be deleted:"
    ),
    gettext_noop(
        "Are you sure you want to delete the selected %(objects_name)s? All of the following objects and their related "
        "items will be deleted:"
    ),
]
