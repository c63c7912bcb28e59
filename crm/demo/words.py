"""Names and phrases of the demo company, in both languages. Nobody here exists."""

RU = {
    "company": "Тёплый дом",
    "teams": ["Частные клиенты", "Бизнес", "Регионы"],
    "women": ["Анна", "Мария", "Елена", "Ольга", "Наталья", "Ирина", "Светлана", "Екатерина", "Татьяна", "Юлия"],
    "men": ["Александр", "Дмитрий", "Сергей", "Андрей", "Алексей", "Максим", "Иван", "Михаил", "Павел", "Николай"],
    "surnames": [
        "Иванов", "Смирнов", "Кузнецов", "Попов", "Васильев", "Петров", "Соколов", "Михайлов", "Новиков", "Фёдоров",
        "Морозов", "Волков", "Алексеев", "Лебедев", "Семёнов", "Егоров", "Павлов", "Козлов", "Степанов", "Николаев",
        "Орлов", "Андреев", "Макаров", "Никитин", "Захаров", "Зайцев", "Соловьёв", "Борисов", "Яковлев", "Григорьев",
    ],
    "cities": ["Москва", "Санкт-Петербург", "Казань", "Екатеринбург", "Новосибирск", "Самара", "Тверь", "Калуга"],
    "firms": ["Ромашка", "Вектор", "Горизонт", "СтройГрад", "Альянс", "Меридиан", "Прогресс", "Северный ветер", "Гранит",
              "Кедр", "Лотос", "Орион", "Полюс", "Рассвет", "Сфера", "Титан"],
    "legal": "ООО «{} {}»",
    "titles": ["директор", "главный инженер", "снабженец", "руководитель закупок", "менеджер", "собственник"],
    "industries": ["строительство", "торговля", "гостиницы", "производство", "образование"],
    "products": [("Пластиковые окна", 48_000), ("Балкон под ключ", 135_000), ("Входные двери", 62_000),
                 ("Кондиционирование", 95_000), ("Фасадное остекление", 1_450_000), ("Тёплый пол", 71_000)],
    "needs": ["Нужен расчёт: {}, {} шт.", "Интересует {}, когда можно замерить? {}", "{}: пришлите цены, объект {} м²",
              "Хотим заказать {} до конца месяца, {} комплектов", "Сравниваем предложения: {}, бюджет {} тыс."],
    "notes": ["Ждёт расчёт к пятнице.", "Сравнивает с конкурентом, важен срок.", "Решает вместе с мужем, перезвонить вечером.",
              "Попросил прислать договор.", "Замер назначен.", "Бюджет утверждён, ждут подписи."],
    "calls": ["Поговорили о сроках.", "Просил перезвонить завтра.", "Не взял трубку.", "Обсудили смету.", ""],
    "tasks": ["Перезвонить", "Отправить расчёт", "Уточнить бюджет", "Согласовать замер", "Проверить оплату"],
    "origins": ["Яндекс Директ", "Google", "ВКонтакте", "Поиск", "Рекомендация", "Выставка", "Звонок"],
    "pages": ["/okna/", "/balkony/", "/ceny/", "/kontakty/", "/otzyvy/", "/akcii/"],
    "campaigns": ["brand", "okna-leto", "balkon-moskva", "b2b-fasad", "retarget"],
    "welcome": "Мы получили вашу заявку",
    "welcome_text": "Здравствуйте! Спасибо за заявку. Свяжусь с вами в рабочее время.",
    "form": "Форма «Рассчитать стоимость»",
    "landing": "Посадочная страница",
    "spam": "Продвижение сайтов, дешёвые ссылки",
    "managers": [("Мария", "Орлова"), ("Дмитрий", "Зайцев"), ("Ольга", "Лебедева"), ("Павел", "Никитин"),
                 ("Ирина", "Макарова"), ("Сергей", "Волков"), ("Юлия", "Соловьёва"), ("Андрей", "Борисов"),
                 ("Екатерина", "Захарова"), ("Алексей", "Морозов"), ("Наталья", "Степанова"), ("Иван", "Григорьев")],
    "head": ("Елена", "Павлова"), "second_head": ("Николай", "Егоров"),
    "marketer": ("Светлана", "Новикова"), "admin": ("Михаил", "Соколов"),
}  # fmt: skip
EN = {
    "company": "Warm Home",
    "teams": ["Homes", "Business", "Regions"],
    "women": ["Anna", "Mary", "Helen", "Olga", "Nora", "Irene", "Lucy", "Kate", "Tanya", "Julia"],
    "men": ["Alex", "Daniel", "Simon", "Andrew", "Adam", "Max", "John", "Michael", "Paul", "Nick"],
    "surnames": ["Smith", "Jones", "Taylor", "Brown", "Wilson", "Evans", "Thomas", "Roberts", "Walker", "Wright",
                 "Hughes", "Green", "Hall", "Wood", "Clarke", "Harris", "Turner", "Cooper", "Ward", "Baker"],
    "cities": ["London", "Leeds", "Bristol", "York", "Glasgow", "Cardiff", "Oxford", "Derby"],
    "firms": ["Daisy", "Vector", "Horizon", "BuildCity", "Alliance", "Meridian", "Progress", "North Wind", "Granite",
              "Cedar", "Lotus", "Orion", "Pole", "Dawn", "Sphere", "Titan"],
    "legal": "{} {} Ltd",
    "titles": ["director", "chief engineer", "buyer", "head of purchasing", "manager", "owner"],
    "industries": ["construction", "retail", "hotels", "manufacturing", "education"],
    "products": [("Windows", 48_000), ("Balcony, turnkey", 135_000), ("Entrance doors", 62_000),
                 ("Air conditioning", 95_000), ("Facade glazing", 1_450_000), ("Heated floor", 71_000)],
    "needs": ["Please quote: {}, {} pcs", "Interested in {}, when can you measure? {}", "{}: send prices, {} m²",
              "We want to order {} this month, {} sets", "Comparing offers: {}, budget {} thousand"],
    "notes": ["Waits for the quote by Friday.", "Compares with a competitor, time matters.", "Call back in the evening.",
              "Asked for the contract.", "Measuring is arranged.", "Budget approved, waiting for the signature."],
    "calls": ["Talked about the dates.", "Asked to call back tomorrow.", "Did not pick up.", "Went through the quote.", ""],
    "tasks": ["Call back", "Send the quote", "Ask about the budget", "Arrange the measuring", "Check the payment"],
    "origins": ["Yandex Direct", "Google", "VK", "Search", "Referral", "Exhibition", "Phone call"],
    "pages": ["/windows/", "/balconies/", "/pricing/", "/contacts/", "/reviews/", "/offers/"],
    "campaigns": ["brand", "windows-summer", "balcony-london", "b2b-facade", "retarget"],
    "welcome": "We have received your enquiry",
    "welcome_text": "Hello! Thank you for your enquiry. I will get in touch within working hours.",
    "form": "Form “Get a quote”",
    "landing": "Landing page",
    "spam": "Cheap links and site promotion",
    "managers": [("Mary", "Walker"), ("Daniel", "Hughes"), ("Olga", "Turner"), ("Paul", "Cooper"), ("Irene", "Ward"),
                 ("Simon", "Baker"), ("Julia", "Green"), ("Andrew", "Hall"), ("Kate", "Clarke"), ("Adam", "Harris"),
                 ("Nora", "Evans"), ("John", "Wright")],
    "head": ("Helen", "Roberts"), "second_head": ("Nick", "Thomas"),
    "marketer": ("Lucy", "Wilson"), "admin": ("Michael", "Taylor"),
}  # fmt: skip
CHANNELS = ["ads", "ads", "ads", "site", "referral", "event", "phone"]  # of the origins, in order


def words(language):
    return RU if language == "ru" else EN


def feminine(surname):
    """The Russian feminine form of a surname in -ов, -ев, -ин; others stay."""
    return surname + "а" if surname.endswith(("ов", "ев", "ёв", "ин")) else surname
