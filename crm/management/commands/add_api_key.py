from django.core.management.base import BaseCommand, CommandError

from crm.core.models import ApiKey, User


class Command(BaseCommand):
    help = "Make an API key that acts with the rights of a user; prints the bare token, which is shown only once."

    def add_arguments(self, parser):
        parser.add_argument("name")
        parser.add_argument("--user", required=True, help="username")

    def handle(self, name, user, **options):
        owner = User.objects.filter(username=user, is_active=True).first()
        if owner is None:
            raise CommandError(f"There is no active user “{user}”.")
        _key, token = ApiKey.issue(name=name, user=owner)
        self.stdout.write(token)
