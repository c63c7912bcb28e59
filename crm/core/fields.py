"""A stage as a guarded foreign key: stock ``FSMKeyField(protected=True)`` protects nothing (viewflow/django-fsm#220)."""

from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor
from django.db.models.query_utils import DeferredAttribute
from django_fsm import FSMKeyField


class _StageObject(ForwardManyToOneDescriptor):
    def __set__(self, instance, value):
        self.field.guard(instance, getattr(value, "pk", value))
        super().__set__(instance, value)


class _StageKey(DeferredAttribute):
    def __set__(self, instance, value):
        self.field.guard(instance, value)
        if instance.__dict__.get(self.field.attname) != value and self.field.is_cached(instance):
            self.field.delete_cached_value(instance)
        instance.__dict__[self.field.attname] = value


class StageField(FSMKeyField):
    """A foreign key to a stage that only a transition may change once it is set; raises AttributeError otherwise."""

    def guard(self, instance, value):
        old = instance.__dict__.get(self.attname, value)
        if self.protected and old is not None and old != value:
            raise AttributeError(f"Direct {self.name} modification is not allowed")

    def contribute_to_class(self, cls, name, **kwargs):
        super().contribute_to_class(cls, name, **kwargs)
        setattr(cls, self.name, _StageObject(self))
        setattr(cls, self.attname, _StageKey(self))

    def get_state(self, instance):
        return getattr(instance, self.attname)

    def set_state(self, instance, state):
        if self.is_cached(instance):
            self.delete_cached_value(instance)
        instance.__dict__[self.attname] = self.to_python(getattr(state, "pk", state))


class RefreshMixin:
    """``refresh_from_db`` that may change the guarded fields; stock FSMModelMixin's is not thread-safe.

    Two people moving one card are told apart by the row lock and ``version`` of the services: django-fsm's
    ConcurrentTransitionMixin recurses without end on rows loaded with ``only()``.
    """

    def refresh_from_db(self, using=None, fields=None, **kwargs):
        loaded = [f.attname for f in self._meta.concrete_fields if f.attname in self.__dict__]
        wanted = list(fields) if fields is not None else loaded
        for field in self._meta.concrete_fields:
            if getattr(field, "protected", False) and {field.name, field.attname} & set(wanted):
                self.__dict__.pop(field.attname, None)
        super().refresh_from_db(using=using, fields=wanted, **kwargs)
