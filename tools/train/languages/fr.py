"""French."""

VOWELS = tuple("AEIOUÉÈaeiouéèœ")


def counted(n, thing):
    return f"{n} {thing.one if int(n) < 2 else thing}"


def money(n):
    return f"{n} euro" if int(n) < 2 else f"{n} euros"


def of(word):
    return f"d'{word}" if word.startswith(VOWELS) else f"de {word}"


def person(name):
    return name, of(name), f"qu'{name}" if name.startswith(VOWELS) else f"que {name}"


def thing(many, article):
    return many, many[:-1], f"{article} {many[:-1]}", f"{article.title()} {many[:-1]}", of(many)


def unit(many):
    return many, many if many == "mois" else many[:-1], "d'heures" if many == "heures" else of(many)


LANGUAGE = {
    # things: pommes, pomme, une pomme, Une pomme, de pommes
    "forms": {"names": ("nom", "of", "than"), "things": ("many", "one", "a", "A", "of")},
    "unit_forms": ("many", "one", "of"),
    "names": [person(name) for name in
              "Léa Paul Emma Lucas Chloé Louis Inès Jules Manon Adam Camille Théo Sarah Nathan Zoé "
              "Antoine Élise Karim Julie Omar".split()],
    "things": [
        *(thing(many, "une") for many in
          "pommes poires oranges billes cartes gommes fleurs perles images bougies".split()),
        *(thing(many, "un") for many in
          "livres timbres crayons stylos cahiers bonbons œufs biscuits boutons ballons".split()),
    ],
    # Stories: start, one to three of the events, ask. All speak of {n} and of {o}.
    "start": [
        "{n} a {A}.",
        "{n} possède {A}.",
        "Au début, {n} a {A}.",
        "Il y a {A} dans la boîte {n.of}.",
        "{n} commence avec {A}.",
        "{n} garde {A} à la maison.",
        "Dans son panier, {n} a {A}.",
        "Au départ, il y a {A} sur le bureau {n.of}.",
        "{n} ouvre son tiroir et compte {A}.",
        "Le sac {n.of} contient {A}.",
        "{n} a déjà {A} dans sa chambre.",
        "Avec patience, {n} a mis de côté {A}.",
    ],
    "gain": [
        "{n} achète encore {B}.",
        "{n} trouve {b} autres {o}.",
        "{m} donne {B} à {n}.",
        "Puis {n} reçoit {B} de plus.",
        "Pour son anniversaire, {n} reçoit {B}.",
        "Plus tard, {n} gagne {B} à un jeu.",
        "Une amie apporte {B} à {n}.",
        "{n} reçoit {B} de sa grand-mère.",
        "En chemin, {n} ramasse {B}.",
        "{n} va au magasin et rapporte {B}.",
        "Ensuite, {n} ajoute {B}.",
        "{m} arrive avec {B} et donne tout à {n}.",
        "De la part {m.of}, {n} reçoit {B}.",
        "Un colis arrive pour {n}, avec {B} dedans.",
        "Après cela, {m} offre {b} autres {o} à {n}.",
    ],
    "lose": [
        "{n} donne {B} à {m}.",
        "{n} perd {B}.",
        "Puis {n} vend {B}.",
        "{n} offre {b} de ses {o} à {m}.",
        "Ensuite, {m} emporte {b} des {o} {n.of}.",
        "Plus tard, {n} se débarrasse de {B}.",
        "{n} jette {B} à la poubelle.",
        "Après cela, {n} envoie {B} à {m}.",
        "Un voleur dérobe {B} à {n}.",
        "En chemin, {n} égare {b} de ses {o}.",
        "Un peu plus tard, {b} des {o} {n.of} disparaissent.",
        "{n} échange {B} contre un jouet.",
        "La petite sœur {n.of} prend {B} et ne rend rien.",
        "À l'école, {n} distribue {B} en tout.",
        "Après la visite {m.of}, {n} a {B} de moins.",
        "{n} fait cadeau de {B} à {m}.",
    ],
    "gain_each": [
        "{n} achète {k} sachets de {B} chacun.",
        "{k} amis donnent chacun {B} à {n}.",
        "Pendant {k} jours, {n} trouve {B} par jour.",
        "{n} reçoit {k} boîtes qui contiennent chacune {B}.",
        "{m} apporte {k} paquets à {n}, et chaque paquet contient {B}.",
        "À un jeu, {n} gagne {k} parties et reçoit {B} par partie.",
        "Chaque jour, pendant {k} jours, {m} offre {B} à {n}.",
        "Ensuite, {n} rapporte {k} paniers avec {B} dans chacun.",
    ],
    "lose_each": [
        "{n} donne {B} à chacun de ses {k} cousins.",
        "Puis {n} prépare {k} sachets de {B} chacun et les vend.",
        "Pendant {k} jours, {n} perd {B} par jour.",
        "{k} enfants emportent chacun {b} des {o} {n.of}.",
        "Chaque jour, pendant {k} jours, {n} donne {B} à {m}.",
        "{n} envoie {k} colis, et chaque colis contient {B}.",
        "{n} perd {k} parties à un jeu, et chaque partie perdue coûte {B}.",
        "{k} camarades reçoivent chacun {B} de la part {n.of}.",
    ],
    "ask": [
        "Combien {o.of} a {n} maintenant ?",
        "Combien {o.of} possède {n} à la fin ?",
        "À la fin, combien {o.of} est-ce {n.than} a ?",
        "Quel est maintenant le nombre {o.of} que possède {n} ?",
        "Calcule combien {o.of} {n} possède à la fin.",
        "Après tout cela, combien {o.of} a {n} ?",
        "Maintenant, {n} a combien {o.of} ?",
        "Dis-moi combien {o.of} {n} a maintenant.",
    ],
    # Whole problems.
    "add": [
        "Combien font {a} + {b} ?",
        "{a} + {b} = ?",
        "Quelle est la somme de {a} et de {b} ?",
        "Additionne {a} et {b}, s'il te plaît.",
        "{a} plus {b}, combien ça fait ?",
        "Ajoute {b} à {a}. Quel est le résultat ?",
        "Il y a {A} dans une boîte et {b} dans une autre. Combien {o.of} y a-t-il en tout ?",
        "{n} trouve {A} le matin et {b} l'après-midi. Combien {o.of} cela fait-il en tout ?",
        "Une boutique vend {A} le lundi et {b} le mardi. Combien {o.of} vend-elle en deux jours ?",
        "{n} a {A} et {m} en a {b}. Combien {o.of} y a-t-il si on met tout ensemble ?",
        "{n} lit {a} pages samedi et {b} pages dimanche. Combien de pages est-ce en tout ?",
        "Il y a {a} personnes dans le bus. À l'arrêt, {b} autres montent. "
        "Combien de personnes y a-t-il maintenant dans le bus ?",
        "{n} pose {A} sur la table et {m} en ajoute {b}. Combien {o.of} y a-t-il sur la table ?",
        "Un panier contient {A}. {n} y met encore {B}. Combien {o.of} contient-il maintenant ?",
        "{n} a {a} ans. {m} a {b} ans de plus. Quel âge a {m} ?",
        "Dans une école, il y a {a} filles et {b} garçons. Combien d'élèves y a-t-il ?",
        "{m} a {A}. {n} a {B} de plus {m.than}. Combien {o.of} a {n} ?",
    ],
    "sub": [
        "Combien font {a} - {b} ?",
        "{a} - {b} = ?",
        "{a} moins {b}, combien ça fait ?",
        "Quelle est la différence entre {a} et {b} ?",
        "Soustrais {b} de {a}, s'il te plaît.",
        "On enlève {b} à {a}. Quel nombre obtient-on ?",
        "Une boîte contient {A}. {n} en retire {b}. Combien {o.of} reste-t-il dans la boîte ?",
        "{n} avait {A} et en a perdu {b}. Combien {o.of} reste-t-il à {n} ?",
        "{n} a {A} et {m} en a {b}. Combien {o.of} {n} a de plus {m.than} ?",
        "Un magasin a {A} et en vend {b}. Combien {o.of} lui reste-t-il ?",
        "Il y a {a} personnes dans le bus. {b} descendent. "
        "Combien de personnes sont encore dans le bus ?",
        "Un livre a {a} pages. {n} a déjà lu {b} pages. Combien de pages reste-t-il à lire ?",
        "Il faut {A} à {n}, qui en a déjà {b}. Combien {o.of} manque-t-il encore ?",
        "{n} prépare {a} gâteaux. Les enfants en mangent {b}. Combien de gâteaux reste-t-il ?",
        "{n} a {a} ans. {m} a {b} ans de moins. Quel âge a {m} ?",
        "Sur les {a} élèves de la classe, {b} sont malades. Combien ne sont pas malades ?",
        "{m} a {A}. {n} a {B} de moins {m.than}. Combien {o.of} a {n} ?",
    ],
    "mul": [
        "Combien font {k} × {b} ?",
        "{k} × {b} = ?",
        "{k} fois {b}, combien ça fait ?",
        "Multiplie {k} par {b}, s'il te plaît.",
        "Quel est le produit de {k} par {b} ?",
        "Il y a {k} boîtes avec {B} dans chacune. Combien {o.of} y a-t-il en tout ?",
        "{n} a {k} sacs. Chaque sac contient {B}. Combien {o.of} a {n} en tout ?",
        "{n} lit {b} pages par jour. Combien de pages cela fait-il en {k} jours ?",
        "Dans la salle, il y a {k} rangées de {b} chaises. Combien de chaises y a-t-il ?",
        "{k} enfants ont chacun {B}. Combien {o.of} ont-ils ensemble ?",
        "Un verger compte {k} rangs de {b} arbres chacun. Combien d'arbres compte-t-il ?",
        "{n} court {b} kilomètres chaque jour. Combien de kilomètres est-ce en {k} jours ?",
        "Un paquet contient {B}. Combien {o.of} y a-t-il dans {k} paquets ?",
        "Pour chacun de ses {k} invités, {n} prévoit {B}. Combien {o.of} faut-il en tout ?",
    ],
    "expr": [
        "Combien font {e} ?",
        "{e} = ?",
        "Calcule {e}.",
        "Quel est le résultat de {e} ?",
        "Quelle est la valeur de {e} ?",
        "Trouve le résultat : {e}",
        "Effectue ce calcul, s'il te plaît : {e}",
        "Dis-moi combien font {e}.",
    ],
    "shop_total": [
        "{o.A} coûte {P}. {n} en achète {k}. Combien paie {n} ?",
        "{n} achète {k} {o} à {P} pièce. Combien cela fait-il en tout ?",
        "Une boutique vend des {o} à {P} l'unité. Combien coûtent {k} {o} ?",
        "Le prix d'{o.a} est de {P}. Quel est le prix de {k} {o} ?",
        "Combien faut-il payer pour {k} {o} si chaque {o.one} coûte {P} ?",
        "{n} veut acheter {k} {o}. Chaque {o.one} vaut {P}. De quelle somme a besoin {n} ?",
        "Au marché, chaque {o.one} coûte {P}. {n} en prend {k}. Combien doit payer {n} ?",
        "Pour {o.a}, il faut {P}. Quelle somme faut-il pour {k} {o} ?",
    ],
    "shop_change": [
        "{n} achète {k} {o} à {P} pièce et donne {Q} à la caisse. Combien lui rend-on ?",
        "{o.A} coûte {P}. {n} en achète {k} et paie avec {Q}. Combien la caisse doit-elle rendre ?",
        "{n} a {Q} et achète {k} {o} à {P} l'unité. Combien d'argent reste-t-il à {n} ?",
        "{n} va au magasin avec {Q} et prend {k} {o}, chaque {o.one} à {P}. "
        "Combien d'argent reste-t-il ?",
        "Chaque {o.one} coûte {P}. {n} en prend {k} et donne {Q} au marchand. "
        "Combien le marchand rend-il ?",
        "Avec {Q} en poche, {n} paie {k} {o} à {P} pièce. Quelle somme reste-t-il ensuite ?",
        "Le prix d'{o.a} est de {P}. {n} en veut {k} et tend {Q}. Combien d'argent récupère {n} ?",
    ],
    "shop_two": [
        "{o.A} coûte {P} et {o2.a} coûte {Q}. Combien coûtent les deux ensemble ?",
        "{n} achète {o.a} à {P} et {o2.a} à {Q}. Combien paie {n} ?",
        "{n} paie {P} pour des {o} et {Q} pour des {o2}. Combien dépense {n} en tout ?",
        "Les {o} coûtent {P} en tout, les {o2} coûtent {Q} en tout. Quel est le total à payer ?",
        "Combien doit payer {n} pour {o.a} à {P} et {o2.a} à {Q} ?",
        "Au marché, {n} dépense {P} en {o}, puis {Q} en {o2}. Quelle est la dépense totale ?",
    ],
    "share": [
        "{n} partage {A} à parts égales entre {k} enfants. Combien {o.of} reçoit chaque enfant ?",
        "On range {A} dans {k} boîtes, avec le même nombre dans chacune. "
        "Combien {o.of} y a-t-il par boîte ?",
        "Combien font {a} ÷ {k} ?",
        "{a} ÷ {k} = ?",
        "{a} divisé par {k}, combien ça fait ?",
        "{k} amis se partagent équitablement {A}. Combien {o.of} chacun reçoit-il ?",
        "{n} met {A} dans des sachets de {k}. Combien de sachets faut-il ?",
        "On place {a} chaises en {k} rangées égales. Combien de chaises y a-t-il par rangée ?",
        "{n} a {A} et donne tout à {k} amis, autant à chacun. Combien {o.of} reçoit chaque ami ?",
        "Quel est le quotient de {a} par {k} ?",
    ],
    "rest": [
        "Quel est le reste de la division de {a} par {k} ?",
        "Divise {a} par {k}. Quel est le reste ?",
        "{n} range {A} par paquets de {k}. Combien {o.of} reste-t-il hors des paquets ?",
        "{k} enfants se partagent {A} à parts égales. Combien {o.of} reste-t-il après le partage ?",
        "{n} aligne {A} en rangées de {k}. Combien {o.of} n'entrent pas dans une rangée complète ?",
        "Que reste-t-il quand on divise {a} par {k} ?",
        "{a} personnes forment des groupes de {k}. Combien de personnes restent sans groupe ?",
        "{n} distribue {A} à {k} amis, le plus possible et autant à chacun. "
        "Combien {o.of} reste-t-il ?",
        "Combien vaut {a} modulo {k} ?",
        "On remplit le plus possible de boîtes de {k} avec {A}. Combien {o.of} reste-t-il ?",
    ],
    # The second says whether the larger one is the answer.
    "more": [
        ("{n} a {A} et {m} a {B}. Qui en a le plus ?", True),
        ("{n} a {A} et {m} a {B}. Qui en a le moins ?", False),
        ("{n} a {a} ans. {m} a {b} ans. Qui est la personne la plus âgée ?", True),
        ("{n} a {a} ans. {m} a {b} ans. Qui est la personne la plus jeune ?", False),
        ("{n} marque {a} points au jeu, {m} en marque {b}. Qui marque le plus de points ?", True),
        ("{n} a lu {a} pages et {m} a lu {b} pages. Qui a lu le plus ?", True),
        ("{n} court {a} kilomètres, {m} en court {b}. Qui court le moins de kilomètres ?", False),
        ("{n} porte {A}, {m} porte {B}. Qui porte le plus {o.of} ?", True),
        ("{n} met {a} minutes pour aller à l'école, {m} met {b} minutes. "
         "Qui met le moins de temps ?", False),
        ("Il y a {A} chez {n} et {b} chez {m}. Chez qui y en a-t-il le plus ?", True),
        ("{n} a payé {a} euros et {m} a payé {b} euros. Qui a payé le moins ?", False),
        ("Dans le sac {n.of}, il y a {A} ; dans celui {m.of}, {b}. Qui a le moins {o.of} ?", False),
    ],
    "larger": [
        ("Quel nombre est le plus grand : {a} ou {b} ?", True),
        ("Quel nombre est le plus petit : {a} ou {b} ?", False),
        ("Entre {a} et {b}, lequel est le plus grand ?", True),
        ("Entre {a} et {b}, lequel est le plus petit ?", False),
        ("Donne-moi le plus grand des deux nombres {a} et {b}.", True),
        ("Donne-moi le plus petit des deux nombres {a} et {b}.", False),
        ("On compare {a} et {b}. Quel est le plus grand nombre ?", True),
        ("On compare {a} et {b}. Quel est le plus petit nombre ?", False),
    ],
    "asc": [
        "Trie ces nombres du plus petit au plus grand : {w}.",
        "Range dans l'ordre croissant : {w}",
        "Mets ces nombres en ordre, le plus petit en premier : {w}.",
        "Classe du plus petit au plus grand : {w}",
        "Voici des nombres : {w}. Écris-les dans l'ordre croissant.",
        "Range {w} en commençant par le plus petit.",
    ],
    "desc": [
        "Trie ces nombres du plus grand au plus petit : {w}.",
        "Range dans l'ordre décroissant : {w}",
        "Mets ces nombres en ordre, le plus grand en premier : {w}.",
        "Classe du plus grand au plus petit : {w}",
        "Voici des nombres : {w}. Écris-les dans l'ordre décroissant.",
        "Range {w} en commençant par le plus grand.",
    ],
    "words": "chat chien soleil arbre rouge oiseau poisson lune étoile maison bateau bleu vache "
             "chapeau clé feuille pluie neige vert lampe".split(),
    "kinds": {
        "animaux": "chat chien oiseau poisson vache cheval canard cochon".split(),
        "couleurs": "rouge bleu vert blanc noir jaune".split(),
        "fruits": "pomme poire prune citron pêche fraise".split(),
    },
    "count": [
        "Combien de mots y a-t-il dans cette liste : {w} ?",
        "Compte les mots : {w}.",
        "Voici une liste : {w}. Combien de mots contient-elle ?",
        "{w} : combien de mots cela fait-il ?",
        "Dis-moi combien de mots je cite : {w}.",
        "Quel est le nombre de mots dans la liste {w} ?",
    ],
    "times": [
        "Combien de fois le mot {x} apparaît-il dans cette liste : {w} ?",
        "Compte combien de fois {x} est dans la liste : {w}.",
        "Voici des mots : {w}. Combien de fois y trouve-t-on {x} ?",
        "Combien de fois est-ce que je dis {x} : {w} ?",
        "Dans la liste {w}, combien de fois vois-tu le mot {x} ?",
        "Lis ces mots : {w}. Combien de fois le mot {x} y figure-t-il ?",
    ],
    "kind": [
        "Combien de mots de cette liste sont des {x} : {w} ?",
        "Compte les {x} : {w}.",
        "Voici une liste : {w}. Combien de ces mots désignent des {x} ?",
        "Parmi ces mots, combien sont des {x} : {w} ?",
        "Regarde bien : {w}. Dans cette liste, combien de mots sont des {x} ?",
        "On cherche les {x} dans la liste {w}. Combien y en a-t-il ?",
    ],
    "weekdays": "lundi mardi mercredi jeudi vendredi samedi dimanche".split(),
    "months": "janvier février mars avril mai juin juillet août septembre octobre novembre "
              "décembre".split(),
    "day_after": [
        "Aujourd'hui, c'est {d}. Quel jour serons-nous dans {k} jours ?",
        "Nous sommes {d}. Quel jour de la semaine sera-t-il dans {k} jours ?",
        "Si aujourd'hui est un {d}, quel jour vient {k} jours plus tard ?",
        "{n} part en voyage un {d} et revient {k} jours plus tard. Quel jour revient {n} ?",
        "Une lettre envoyée un {d} met {k} jours à arriver. Quel jour arrive-t-elle ?",
        "Quel jour de la semaine tombe {k} jours après un {d} ?",
    ],
    "day_before": [
        "Aujourd'hui, c'est {d}. Quel jour étions-nous il y a {k} jours ?",
        "Nous sommes {d}. Quel jour de la semaine était-ce il y a {k} jours ?",
        "Si aujourd'hui est un {d}, quel jour était-ce {k} jours plus tôt ?",
        "Quel jour de la semaine tombe {k} jours avant un {d} ?",
        "{n} rentre un {d} après {k} jours de voyage. Quel jour le voyage a-t-il commencé ?",
        "Un colis arrive un {d}, {k} jours après son envoi. Quel jour a-t-il été envoyé ?",
    ],
    "month_after": [
        "Nous sommes en {d}. En quel mois serons-nous dans {k} mois ?",
        "Quel mois vient {k} mois après {d} ?",
        "{n} commence un travail en {d} et met {k} mois. En quel mois finit ce travail ?",
        "Si nous sommes en {d}, quel mois viendra {k} mois plus tard ?",
        "Un voyage commence en {d} et se termine {k} mois plus tard. En quel mois finit-il ?",
        "On plante une graine en {d} et elle fleurit {k} mois après. En quel mois fleurit-elle ?",
    ],
    "month_before": [
        "Nous sommes en {d}. En quel mois étions-nous il y a {k} mois ?",
        "Quel mois se situe {k} mois avant {d} ?",
        "Si nous sommes en {d}, quel mois était-ce {k} mois plus tôt ?",
        "{n} a terminé un projet en {d}, après {k} mois. En quel mois le projet a-t-il commencé ?",
        "Une maison est achevée en {d} après {k} mois de travaux. "
        "En quel mois les travaux ont-ils commencé ?",
    ],
    "time_after": [
        "Il est {t}. Quelle heure sera-t-il dans {b} minutes ?",
        "L'horloge indique {t}. Qu'indiquera-t-elle {b} minutes plus tard ?",
        "Un film commence à {t} et dure {b} minutes. À quelle heure finit-il ?",
        "{n} part à {t} et marche pendant {b} minutes. À quelle heure arrive {n} ?",
        "Quelle heure est-il {b} minutes après {t} ?",
        "Une leçon débute à {t} et dure {b} minutes. À quelle heure se termine-t-elle ?",
    ],
    "time_before": [
        "Il est {t}. Quelle heure était-il il y a {b} minutes ?",
        "Quelle heure est-il {b} minutes avant {t} ?",
        "Un film s'est terminé à {t}. Il a duré {b} minutes. À quelle heure a-t-il commencé ?",
        "{n} arrive à {t} après {b} minutes de marche. À quelle heure a commencé la marche ?",
        "Le bus part à {t}. {n} doit quitter la maison {b} minutes plus tôt. "
        "À quelle heure est-ce ?",
        "L'horloge indique {t}. Qu'indiquait-elle {b} minutes plus tôt ?",
    ],
    "time_hours": [
        "Il est {t}. Quelle heure sera-t-il dans {k} heures ?",
        "{n} s'endort à {t} et dort {k} heures. À quelle heure se réveille {n} ?",
        "Un train part à {t} et roule pendant {k} heures. À quelle heure arrive-t-il ?",
        "L'horloge indique {t}. Qu'indiquera-t-elle {k} heures plus tard ?",
        "Quelle heure est-il {k} heures après {t} ?",
    ],
    # How many of the small one make the big one.
    "units": [
        (factor, unit(big), unit(small)) for factor, big, small in (
            (100, "mètres", "centimètres"), (1000, "kilomètres", "mètres"),
            (1000, "kilogrammes", "grammes"), (60, "heures", "minutes"),
            (60, "minutes", "secondes"), (24, "jours", "heures"), (7, "semaines", "jours"),
            (12, "ans", "mois"), (10, "centimètres", "millimètres"),
            (1000, "litres", "millilitres"))
    ],
    "unit": [
        "Combien {small.of} font {A} ?",
        "Convertis {A} en {small}.",
        "{A} = ? {small}",
        "Combien {small.of} y a-t-il dans {A} ?",
        "{A}, cela fait combien {small.of} ?",
        "Exprime {A} en {small}.",
    ],
    "unit_and": [
        "Combien {small.of} font {A} et {B} en tout ?",
        "Convertis {A} et {B} en {small} et donne le total.",
        "{A} et {B}, cela fait combien {small.of} en tout ?",
        "{A} + {B} = ? {small}",
        "Quelque chose mesure ou dure {A} et {B}. À combien {small.of} cela correspond-il ?",
    ],
    # More than, the same told the other way round, and who is first and last.
    "relations": [
        ("{n} a une plus grande taille {m.than}.", "{m} a une plus petite taille {n.than}.",
         "Qui a la plus grande taille ?", "Qui a la plus petite taille ?"),
        ("L'âge {n.of} est supérieur à celui {m.of}.", "L'âge {m.of} est inférieur à celui {n.of}.",
         "Qui est la personne la plus âgée ?", "Qui est la personne la plus jeune ?"),
        ("{n} court plus vite {m.than}.", "{m} court moins vite {n.than}.",
         "Qui court le plus vite ?", "Qui court le moins vite ?"),
        ("{n} pèse plus lourd {m.than}.", "{m} pèse moins lourd {n.than}.",
         "Qui pèse le plus lourd ?", "Qui pèse le moins lourd ?"),
        ("{n} a plus {o.of} {m.than}.", "{m} a moins {o.of} {n.than}.",
         "Qui a le plus {o.of} ?", "Qui a le moins {o.of} ?"),
        ("{n} a plus de force {m.than}.", "{m} a moins de force {n.than}.",
         "Qui a le plus de force ?", "Qui a le moins de force ?"),
        ("{n} se lève plus tard {m.than}.", "{m} se lève plus tôt {n.than}.",
         "Qui se lève le plus tard ?", "Qui se lève le plus tôt ?"),
        ("{n} habite plus loin de l'école {m.than}.", "{m} habite plus près de l'école {n.than}.",
         "Qui habite le plus loin de l'école ?", "Qui habite le plus près de l'école ?"),
    ],
    "join": ", ",  # between listed words
    "space": " ",  # between sentences, and between a word and its number
    "answer": "La réponse est {}.",
    "systems": ["Tu es un assistant serviable.", "Réponds à la question.",
                "Tu es très fort en calcul.", "Tu es Tenon, un petit modèle. Sois bref."],
    # The same answer in each language: what nano is and can do.
    "greetings": [
        ("Bonjour", "Bonjour ! Je suis un petit modèle. Demande-moi de calculer, de comparer, "
                    "de trier ou de compter."),
        ("Bonjour !", "Bonjour ! Je suis un petit modèle. Demande-moi de calculer, de comparer, "
                      "de trier ou de compter."),
        ("Salut", "Bonjour ! Je suis un petit modèle. Demande-moi de calculer, de comparer, "
                  "de trier ou de compter."),
        ("Qui es-tu ?", "Je suis Tenon nano, un petit modèle. Je sais calculer, comparer, trier et "
                        "compter."),
        ("Que sais-tu faire ?", "Je sais calculer, comparer, trier et compter. Essaie : "
                                "Combien font 27 + 35 ?"),
        ("Merci beaucoup !", "De rien !"),
        ("Merci", "De rien !"),
    ],
}
