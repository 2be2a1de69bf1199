"""Run Wagtail's and Django's migrations into a SQLite file: ``python wagtail_app.py FILE``."""

from __future__ import annotations

import sys

import django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    INSTALLED_APPS=[
        "wagtail.contrib.forms", "wagtail.contrib.redirects", "wagtail.embeds", "wagtail.sites",
        "wagtail.users", "wagtail.snippets", "wagtail.documents", "wagtail.images", "wagtail.search",
        "wagtail.admin", "wagtail", "modelcluster", "taggit", "django.contrib.admin",
        "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
        "django.contrib.messages", "django.contrib.staticfiles",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    SECRET_KEY="only to run migrations",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    WAGTAIL_SITE_NAME="test",
    WAGTAILADMIN_BASE_URL="http://localhost",
    STATIC_URL="/static/",
    USE_TZ=True,
)  # fmt: skip
django.setup()
call_command("migrate", verbosity=0)
