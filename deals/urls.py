from django.urls import path

from deals.views import board, card, lines, lists, opening, outcomes, panels, touches

app_name = "deals"
urlpatterns = [
    path("deals/", lists.index, name="list"),
    path("deals/export/<slug:form>/", lists.export, name="export"),
    path("deals/board/", board.board, name="board"),
    path("deals/board/<int:stage>/", board.column, name="board_column"),
    # opening
    path("leads/<int:lead_pk>/conversion/", opening.convert, name="convert"),
    path("people/<int:person_pk>/deals/new/", opening.new, name="new"),
    path("deals/<int:pk>/repeat/", opening.repeat, name="repeat"),
    # the card
    path("deals/<int:pk>/", card.card, name="card"),
    path("deals/<int:pk>/parts/<slug:part>/", card.parts, name="card_part"),
    path("deals/<int:pk>/fields/<slug:name>/", card.field, name="field"),
    path("deals/<int:pk>/stage/", card.stage, name="stage"),
    path("deals/<int:pk>/owner/", card.owner, name="owner"),
    path("deals/<int:pk>/timeline/", touches.timeline, name="timeline"),
    path("deals/<int:pk>/notes/", touches.note, name="note"),
    path("deals/<int:pk>/calls/", touches.call, name="call"),
    path("deals/<int:pk>/letters/new/", touches.letter, name="letter_new"),
    path("deals/<int:pk>/tasks/", touches.task, name="task_new"),
    # outcome
    path("deals/<int:pk>/win/", outcomes.win, name="win"),
    path("deals/<int:pk>/loss/", outcomes.lose, name="lose"),
    path("deals/<int:pk>/reopening/", outcomes.reopen, name="reopen"),
    # product lines
    path("deals/<int:pk>/lines/", lines.add, name="lines"),
    path("deals/<int:pk>/lines/<int:line_pk>/", lines.change, name="line"),
    path("deals/<int:pk>/lines/<int:line_pk>/removal/", lines.remove, name="line_remove"),
    # sections of the lead's and the person's card
    path("leads/<int:lead_pk>/deals/", panels.of_lead, name="lead_panel"),
    path("people/<int:person_pk>/deals/", panels.of_person, name="person_panel"),
    path("companies/<int:company_pk>/deals/", panels.of_company, name="company_panel"),
]
