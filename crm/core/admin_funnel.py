"""Pipelines with their stages, allowed moves and entry requirements on one page; reasons of loss."""

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm.core.admin_base import DefaultForm, SettingsAdmin
from crm.core.models import Pipeline, Reason, Stage, StageEdge

SUBJECTS = {"lead": "leads", "deal": "deals"}  # kind of the pipeline → how a stage calls its cards


def gated(kind):
    """Fields that a stage of this kind may ask for: [(name, label)], as the model lists them in GATED."""
    model = Stage._meta.get_field(SUBJECTS[kind]).related_model
    return [(name, capfirst(model._meta.get_field(name).verbose_name)) for name in model.GATED]


class StageForm(forms.ModelForm):
    required_fields = forms.MultipleChoiceField(
        label=gettext_lazy("Required to enter"), required=False, widget=forms.CheckboxSelectMultiple
    )
    to_all = forms.ModelMultipleChoiceField(
        Stage.objects.none(), label=gettext_lazy("May move on to"), required=False, widget=forms.CheckboxSelectMultiple
    )
    to_heads = forms.ModelMultipleChoiceField(
        Stage.objects.none(),
        label=gettext_lazy("Heads may also move to"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = Stage
        fields = ["position", "name", "probability", "norm_days", "required_fields"]

    def __init__(self, *args, pipeline=None, others=(), **kwargs):
        super().__init__(*args, **kwargs)
        kind = pipeline.kind if pipeline else Pipeline.Kind.DEAL
        self.fields["required_fields"].choices = gated(kind)
        if kind == Pipeline.Kind.LEAD:
            self.fields.pop("probability", None)  # money is forecast from deals
        self._offer_moves(others)

    def _offer_moves(self, others):
        """Moves are chosen among stages that exist; a new one gets its neighbours when it is saved."""
        if not self.instance.pk:
            return
        out = list(self.instance.edges_out.all())
        for name, heads in (("to_all", False), ("to_heads", True)):
            self.fields[name].queryset = Stage.objects.filter(pipeline_id=self.instance.pipeline_id)
            self.fields[name].choices = [(stage.pk, stage.name) for stage in others if stage.pk != self.instance.pk]
            self.initial[name] = [edge.target_id for edge in out if edge.heads_only == heads]

    def moves(self):
        """{target key: heads only}; what all may do, heads may as well."""
        data = self.cleaned_data
        return {s.pk: True for s in data.get("to_heads", ())} | {s.pk: False for s in data.get("to_all", ())}


class StageFormSet(forms.BaseInlineFormSet):
    def get_form_kwargs(self, index):
        if not hasattr(self, "_others"):
            self._others = list(self.instance.stages.order_by("position", "id")) if self.instance.pk else []
        pipeline = self.instance if self.instance.pk else None
        return super().get_form_kwargs(index) | {"pipeline": pipeline, "others": self._others}


class StageInline(admin.StackedInline):
    model = Stage
    form = StageForm
    formset = StageFormSet
    extra = 0
    ordering = ["position", "id"]

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("edges_out")

    def get_fieldsets(self, request, obj=None):
        plain = [
            "name",
            ("position", "norm_days") if obj and obj.kind == "lead" else ("position", "probability", "norm_days"),
        ]
        return [(None, {"fields": [*plain, "required_fields", "to_all", "to_heads"] if obj else plain})]

    def get_formset(self, request, obj=None, **kwargs):
        kwargs["fields"] = ["position", "name", "probability", "norm_days", *(["required_fields"] if obj else [])]
        return super().get_formset(request, obj, **kwargs)


@admin.register(Pipeline)
class PipelineAdmin(SettingsAdmin):
    form = DefaultForm
    inlines = [StageInline]
    list_display = ["name", "kind", "position", "is_default", "is_active"]
    list_filter = ["kind"]

    def _stored(self, request, row):
        moves = StageEdge.objects.filter(source__pipeline=row).order_by("source", "target")
        return [*super()._stored(request, row), list(moves.values_list("source", "target", "heads_only"))]

    def get_readonly_fields(self, request, obj=None):
        return ["kind"] if obj else []  # its stages and cards are of that kind

    def save_model(self, request, obj, form, change):
        if obj.is_default:
            Pipeline.objects.filter(kind=obj.kind, is_default=True).exclude(pk=obj.pk).update(is_default=False)
        super().save_model(request, obj, form, change)

    @transaction.atomic
    def save_related(self, request, form, formsets, change):
        super().save_related(request, form, formsets, change)
        for formset in formsets:
            for stage_form in getattr(formset, "initial_forms", []):
                if stage_form not in formset.deleted_forms:
                    set_moves(stage_form.instance, stage_form.moves())
            for stage in getattr(formset, "new_objects", []):
                join(stage)
        for text in flaws(form.instance):
            messages.warning(request, text)


def set_moves(stage, targets):
    """Make the stage's moves exactly ``targets`` ({stage key: heads only})."""
    now = {edge.target_id: edge for edge in StageEdge.objects.filter(source=stage)}
    StageEdge.objects.filter(source=stage).exclude(target__in=targets).delete()
    for target, heads_only in targets.items():
        if target not in now:
            StageEdge.objects.create(source=stage, target_id=target, heads_only=heads_only)
        elif now[target].heads_only != heads_only:
            StageEdge.objects.filter(pk=now[target].pk).update(heads_only=heads_only)


def join(stage):
    """Give a new stage moves to and from its neighbours, so that cards come in and get out."""
    order = list(Stage.objects.filter(pipeline_id=stage.pipeline_id).order_by("position", "id"))
    place = order.index(stage)
    for other in order[max(0, place - 1) : place] + order[place + 1 : place + 2]:
        for source, target in ((stage, other), (other, stage)):
            StageEdge.objects.get_or_create(source=source, target=target)


def flaws(pipeline):
    """What would hold cards up in this pipeline, in words."""
    order = list(pipeline.stages.order_by("position", "id"))
    edges = set(StageEdge.objects.filter(source__pipeline=pipeline).values_list("source_id", "target_id"))
    outs, ins = {source for source, _target in edges}, {target for _source, target in edges}
    known = dict(gated(pipeline.kind))
    found = [] if order else [_("The pipeline has no stages: no card can enter it.")]
    for stage in order:
        if stage.pk not in outs and stage != order[-1]:
            found.append(_("From “%s” there is no move: cards stay there.") % stage)
        if stage.pk not in ins and stage != order[0]:
            found.append(_("No move leads to “%s”: cards never get there.") % stage)
        for name in stage.required_fields:
            if name not in known:
                found.append(
                    _("“%(stage)s” asks for “%(field)s”, which no card has.") % {"stage": stage, "field": name}
                )
    return found


@admin.register(Reason)
class ReasonAdmin(SettingsAdmin):
    list_display = ["name", "kind", "position", "is_active"]
    list_editable = ["position", "is_active"]
    list_filter = ["kind"]
