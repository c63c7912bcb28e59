from django.db import migrations

# A deal's next step is the soonest open task that names it. Tasks live a storey below and know no deals, so the
# database keeps the column right, whichever page, job or import sets, moves or finishes a task. Deferred to the commit:
# all code locks the lead before the deal, and a task's own service comes to the lead only after the task.
FUNCTION = """
create function deals_next_step() returns trigger language plpgsql as $$
declare ref bigint;
begin
  foreach ref in array array[case when tg_op <> 'INSERT' then old.deal_ref end, case when tg_op <> 'DELETE' then new.deal_ref end]
  loop
    if ref is not null then
      update deals_deal d set next_step_at = t.due
      from (select min(due_at) as due from leads_task where deal_ref = ref and done_at is null) t
      where d.id = ref and d.next_step_at is distinct from t.due;
    end if;
  end loop;
  return null;
end $$;
"""
TRIGGER = """
create constraint trigger leads_task_deal_{name} after {event} on leads_task deferrable initially deferred
for each row when ({when}) execute function deals_next_step();
"""
TRIGGERS = [
    ("set", "insert", "new.deal_ref is not null"),
    ("moved", "update of due_at, done_at, deal_ref", "old.deal_ref is not null or new.deal_ref is not null"),
    ("gone", "delete", "old.deal_ref is not null"),
]
NEXT_STEP = FUNCTION + "".join(TRIGGER.format(name=name, event=event, when=when) for name, event, when in TRIGGERS)
UNDO = "drop function deals_next_step() cascade;"


class Migration(migrations.Migration):
    dependencies = [("deals", "0002_guards"), ("leads", "0002_guards")]
    operations = [migrations.RunSQL(NEXT_STEP, UNDO)]
