"""Django: a project in one file, and its commands."""

import os
import sys

import django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql", "NAME": "sample", "USER": "postgres", "HOST": "127.0.0.1",
            "PORT": os.environ["PGPORT"], "OPTIONS": {"options": "-c search_path=sales,public"} if "paths" in sys.argv else {},
        }
    },
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django.contrib.postgres"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True,
)
django.setup()
from django.db import connection, models, transaction  # noqa: E402


def introspect():
    with connection.cursor() as cursor:
        told = connection.introspection
        for table in told.get_table_list(cursor):
            told.get_table_description(cursor, table.name)
            told.get_sequences(cursor, table.name)
            told.get_relations(cursor, table.name)
            told.get_constraints(cursor, table.name)
            told.get_primary_key_columns(cursor, table.name)


def orm():
    class Note(models.Model):
        body = models.TextField()
        done = models.BooleanField(default=False)

        class Meta:
            app_label = "sample"
            db_table = "notes"
            managed = False

    Note.objects.create(body="a")
    Note.objects.bulk_create([Note(body="b"), Note(body="c")])
    Note.objects.get_or_create(body="a", defaults={"done": True})
    list(Note.objects.filter(body__icontains="note", id__in=[1, 2]).order_by("-id")[:3])
    Note.objects.filter(id=1).update(done=True)
    Note.objects.aggregate(models.Count("id"), models.Max("id"))
    list(Note.objects.values("done").annotate(n=models.Count("id")))
    list(Note.objects.iterator(chunk_size=2))
    Note.objects.filter(id=1).exists()
    with transaction.atomic(), transaction.atomic():
        list(Note.objects.select_for_update().filter(id=1))
    connection.is_usable()
    connection.check_constraints()


if sys.argv[1] == "introspect":
    introspect()
elif sys.argv[1] == "orm":
    orm()
else:
    call_command(*[word for word in sys.argv[1:] if word != "paths"], stdout=open(os.devnull, "w"))
