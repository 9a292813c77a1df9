"""Swahili."""


def counted(n, thing):
    return f"{thing} {n}"


def money(n):
    return f"shilingi {n}"


# What agrees with a thing, by its class: one, how many, other, many, few, verb prefix, those.
MA = ("moja", "mangapi", "mengine", "mengi", "machache", "ya", "hayo")
VI = ("kimoja", "vingapi", "vingine", "vingi", "vichache", "vi", "hivyo")
MI = ("mmoja", "mingapi", "mingine", "mingi", "michache", "i", "hiyo")
N = ("moja", "ngapi", "nyingine", "nyingi", "chache", "zi", "hizo")

LANGUAGE = {
    "forms": {
        "things": ("many", "one", "moja", "ngapi", "ingine", "ingi", "chache", "pre", "those"),
    },
    "unit_forms": ("many", "ngapi"),
    "names": "Juma Asha Hamisi Fatuma Baraka Neema Rashidi Rehema Musa Amina Salim Mwanaidi Daudi "
             "Mariamu Omari Halima Yusufu Zuhura Kassim Saida".split(),
    "things": [
        ("maembe", "embe", *MA), ("machungwa", "chungwa", *MA), ("mayai", "yai", *MA),
        ("maua", "ua", *MA), ("mananasi", "nanasi", *MA), ("madaftari", "daftari", *MA),
        ("vitabu", "kitabu", *VI), ("vikombe", "kikombe", *VI), ("vijiko", "kijiko", *VI),
        ("vifungo", "kifungo", *VI), ("viazi", "kiazi", *VI), ("mikate", "mkate", *MI),
        ("mipira", "mpira", *MI), ("kalamu", "kalamu", *N), ("penseli", "penseli", *N),
        ("ndizi", "ndizi", *N), ("biskuti", "biskuti", *N), ("keki", "keki", *N),
        ("kadi", "kadi", *N), ("sahani", "sahani", *N),
    ],
    # Stories: start, one to three of the events, ask. All speak of {n} and of {o}.
    "start": [
        "{n} ana {A}.",
        "{n} anamiliki {A}.",
        "Mwanzoni {n} ana {A}.",
        "Ndani ya sanduku la {n} kuna {A}.",
        "{n} amekusanya {A}.",
        "Asubuhi {n} ana {A}.",
        "{n} anaanza akiwa na {A}.",
        "{n} ameweka {A} nyumbani.",
        "Kwenye meza ya {n} kuna {A}.",
        "Kwanza {n} ana {A}.",
        "{n} amebeba {A} kwenye mfuko.",
        "Tuseme {n} ana {A}.",
    ],
    "gain": [
        "{n} ananunua {o} {o.ingine} {b}.",
        "{n} anapata {o} {o.ingine} {b}.",
        "{m} anampa {n} {o} {o.ingine} {b}.",
        "Kisha {n} anapokea {o} {o.ingine} {b} kutoka kwa {m}.",
        "Halafu {n} anaongeza {B}.",
        "Baadaye {n} anashinda {B} kwenye mchezo.",
        "{n} anapewa zawadi ya {B}.",
        "Rafiki mmoja anamletea {n} {B}.",
        "Mama anampa {n} {B} zaidi.",
        "Baada ya hapo {n} anapata {B} zaidi.",
        "Mwalimu anamwongezea {n} {o} {o.ingine} {b}.",
        "{n} anaazima {B} kutoka kwa {m}.",
        "Kisha {n} anakwenda sokoni na kununua {o} {o.ingine} {b}.",
        "{m} anakuja na kumwongezea {n} {B}.",
    ],
    "lose": [
        "{n} anampa {m} {B}.",
        "{n} anapoteza {b} kati ya {o} {o.those}.",
        "Kisha {n} anauza {B}.",
        "{n} anatoa msaada wa {B}.",
        "{m} anachukua {B} kutoka kwa {n}.",
        "Baadaye {B} {o.pre}naharibika.",
        "{n} anatupa {B}.",
        "Halafu {n} anampelekea {m} {B}.",
        "{n} anatumia {b} kati ya {o} {o.those}.",
        "Baada ya hapo {n} anasahau {B} shuleni.",
        "{n} anamkopesha {m} {B}.",
        "Mwizi anamwibia {n} {B}.",
        "{n} anampa jirani {B}.",
        "Kwa bahati mbaya {B} {o.pre}napotea.",
    ],
    "gain_each": [
        "{n} ananunua mifuko {k}, na kila mfuko una {B}.",
        "Marafiki {k} wanampa {n} {B} kila mmoja.",
        "Kisha {n} anapata masanduku {k}, kila sanduku likiwa na {B}.",
        "Kwa siku {k} {n} anapata {B} zaidi kila siku.",
        "{m} anamletea {n} vikapu {k}, na kila kikapu kina {B}.",
        "{n} anapokea pakiti {k}, na ndani ya kila pakiti kuna {B}.",
        "Baadaye wageni {k} wanakuja, na kila mgeni anampa {n} {B}.",
    ],
    "lose_each": [
        "{n} anawapa marafiki {k} {B} kila mmoja.",
        "Kisha {n} anauza mifuko {k}, na kila mfuko una {B}.",
        "Kwa siku {k} {n} anapoteza {B} kila siku.",
        "Watoto {k} wanachukua {B} kila mmoja kutoka kwa {n}.",
        "{n} anatumia {B} kila siku kwa siku {k}.",
        "{n} anatuma vifurushi {k}, na kila kifurushi kina {B}.",
        "Baadaye wateja {k} wanakuja, na {n} anamuuzia kila mteja {B}.",
    ],
    "ask": [
        "Sasa {n} ana {o} {o.ngapi}?",
        "Mwishoni {n} ana {o} {o.ngapi}?",
        "Je, {n} ana {o} {o.ngapi} sasa?",
        "Hatimaye {n} ana {o} {o.ngapi}?",
        "Je, mwisho wa yote {n} ana {o} {o.ngapi}?",
        "Kwa sasa {n} ana jumla ya {o} {o.ngapi}?",
        "Je, baada ya hayo yote {n} ana {o} {o.ngapi}?",
    ],
    # Whole problems.
    "add": [
        "{a} + {b} ni ngapi?",
        "{a} + {b} = ?",
        "Jumla ya {a} na {b} ni ngapi?",
        "Tafadhali jumlisha {a} na {b}.",
        "{a} jumlisha {b} ni ngapi?",
        "Sanduku moja lina {A} na lingine lina {b}. Kwa jumla kuna {o} {o.ngapi}?",
        "{n} alipata {A} asubuhi na {b} mchana. {n} alipata {o} {o.ngapi} kwa jumla?",
        "Duka liliuza {A} Jumatatu na {b} Jumanne. "
        "Duka hilo liliuza {o} {o.ngapi} kwa siku hizo mbili?",
        "{n} ana {A} na {m} ana {b}. Kwa pamoja wana {o} {o.ngapi}?",
        "Jana {n} alisoma kurasa {a}, na leo kurasa {b}. Amesoma kurasa ngapi kwa jumla?",
        "Basi lina abiria {a}. Kisha abiria wengine {b} wanapanda. Sasa basi lina abiria wangapi?",
        "{n} anaweka {A} mezani, na {m} anaongeza {b}. Mezani kuna {o} {o.ngapi}?",
        "Kikapu kina {A}. {n} anaongeza {o} {o.ingine} {b}. Sasa kikapu kina {o} {o.ngapi}?",
        "{n} ana umri wa miaka {a}. {m} amemzidi {n} kwa miaka {b}. {m} ana miaka mingapi?",
        "Darasani kuna wavulana {a} na wasichana {b}. Kuna wanafunzi wangapi kwa jumla?",
        "{m} ana {A}. {n} amemzidi {m} kwa {B}. {n} ana {o} {o.ngapi}?",
    ],
    "sub": [
        "{a} - {b} ni ngapi?",
        "{a} - {b} = ?",
        "{a} kutoa {b} ni ngapi?",
        "Tofauti kati ya {a} na {b} ni ngapi?",
        "Tafadhali toa {b} kutoka {a}.",
        "Sandukuni kuna {A}. {n} anatoa {b}. Sandukuni {o.pre}nabaki {o} {o.ngapi}?",
        "{n} alikuwa na {A}, akapoteza {b}. Amebaki na {o} {o.ngapi}?",
        "{n} ana {A} na {m} ana {b}. {n} amemzidi {m} kwa {o} {o.ngapi}?",
        "Duka lilikuwa na {A}, likauza {b}. Duka limebaki na {o} {o.ngapi}?",
        "Basi lilikuwa na abiria {a}. Kisha abiria {b} walishuka. Basi limebaki na abiria wangapi?",
        "Kitabu kina kurasa {a}. {n} amesoma kurasa {b}. Bado kurasa ngapi hazijasomwa?",
        "{n} anahitaji {A}, lakini tayari ana {b}. Bado anahitaji {o} {o.ngapi}?",
        "{n} alipika maandazi {a}. Watoto walikula {b}. Yamebaki maandazi mangapi?",
        "{n} ana umri wa miaka {a}. {m} ni mdogo kuliko {n} kwa miaka {b}. {m} ana miaka mingapi?",
        "Kati ya wanafunzi {a} wa darasa, {b} ni wagonjwa. Ni wanafunzi wangapi ambao si wagonjwa?",
        "{m} ana {A}, naye amemzidi {n} kwa {B}. {n} ana {o} {o.ngapi}?",
    ],
    "mul": [
        "{k} × {b} ni ngapi?",
        "{k} × {b} = ?",
        "{k} mara {b} ni ngapi?",
        "Tafadhali zidisha {k} kwa {b}.",
        "Zao la {k} na {b} ni ngapi?",
        "Kuna masanduku {k}, na kila sanduku lina {B}. Kuna {o} {o.ngapi} kwa jumla?",
        "{n} ana mifuko {k}. Kila mfuko una {B}. {n} ana {o} {o.ngapi}?",
        "{n} anasoma kurasa {b} kwa siku. Je, atasoma kurasa ngapi kwa siku {k}?",
        "Ukumbini kuna safu {k} za viti, na kila safu ina viti {b}. Kuna viti vingapi?",
        "Watoto {k} wana {B} kila mmoja. Kwa pamoja wana {o} {o.ngapi}?",
        "Shamba lina mistari {k} ya minazi, na kila mstari una minazi {b}. "
        "Shamba lina minazi mingapi?",
        "{n} anakimbia kilomita {b} kila siku. Kwa siku {k} atakimbia kilomita ngapi?",
        "Mwalimu anataka kumpa kila mtoto {B}. Kama kuna watoto {k}, anahitaji {o} {o.ngapi}?",
    ],
    "expr": [
        "{e} ni ngapi?",
        "{e} = ?",
        "Kokotoa {e}.",
        "Tafadhali piga hesabu hii: {e}",
        "Je, {e} ni sawa na ngapi?",
        "Niambie thamani ya {e}.",
        "Tafuta jibu: {e}",
    ],
    "shop_total": [
        "Bei ya {o.one} {o.moja} ni {P}. {n} ananunua {o} {k}. {n} atalipa shilingi ngapi?",
        "{n} ananunua {o} {k} kwa {P} kila {o.moja}. Jumla ni shilingi ngapi?",
        "Duka linauza {o} kwa {P} kila {o.moja}. Bei ya {o} {k} ni shilingi ngapi?",
        "Ikiwa {o.one} {o.moja} ni {P}, {o} {k} ni shilingi ngapi?",
        "Utalipa shilingi ngapi kwa {o} {k} ikiwa bei ya kila {o.moja} ni {P}?",
        "{n} anataka {o} {k}. Kila {o.moja} ni {P}. {n} anahitaji shilingi ngapi?",
        "Sokoni kila {o.one} ni {P}. {n} anachukua {o} {k}. {n} anatakiwa kulipa shilingi ngapi?",
    ],
    "shop_change": [
        "{n} ananunua {o} {k} kwa {P} kila {o.moja} na anatoa {Q}. Atarudishiwa shilingi ngapi?",
        "Bei ya {o.one} {o.moja} ni {P}. {n} ananunua {o} {k} na kulipa {Q}. "
        "Chenji ni shilingi ngapi?",
        "{n} ana {Q} na ananunua {o} {k} kwa {P} kila {o.moja}. Atabaki na shilingi ngapi?",
        "{n} anakwenda dukani na {Q}. Huko ananunua {o} {k}, kila {o.moja} kwa {P}. "
        "Zitabaki shilingi ngapi?",
        "Kila {o.one} ni {P}. {n} anachukua {o} {k} na kumpa muuzaji {Q}. "
        "Muuzaji atamrudishia {n} shilingi ngapi?",
        "Mama amempa {n} {Q} ili kununua {o} {k}. Ikiwa kila {o.moja} ni {P}, "
        "zitabaki shilingi ngapi?",
    ],
    "shop_two": [
        "Bei ya {o.one} {o.moja} ni {P} na ya {o2.one} {o2.moja} ni {Q}. Jumla ni shilingi ngapi?",
        "{n} ananunua {o.one} {o.moja} kwa {P} na {o2.one} {o2.moja} kwa {Q}. "
        "{n} analipa shilingi ngapi?",
        "{n} analipa {P} kwa {o} na {Q} kwa {o2}. {n} anatumia shilingi ngapi kwa jumla?",
        "Gharama ya {o} ni {P}, na gharama ya {o2} ni {Q}. Jumla ni shilingi ngapi?",
        "Ikiwa {o.one} {o.moja} ni {P} na {o2.one} {o2.moja} ni {Q}, "
        "{n} atalipa shilingi ngapi kwa vyote viwili?",
    ],
    "share": [
        "{n} anagawa {A} sawasawa kwa watoto {k}. Kila mtoto anapata {o} {o.ngapi}?",
        "Tumeweka {A} kwenye masanduku {k} kwa idadi sawa. Kila sanduku lina {o} {o.ngapi}?",
        "{a} ÷ {k} ni ngapi?",
        "{a} ÷ {k} = ?",
        "{a} ikigawanywa kwa {k} ni ngapi?",
        "Marafiki {k} wanagawana {A} sawasawa. Kila mmoja anapata {o} {o.ngapi}?",
        "{n} anapanga {A} kwenye mifuko, kila mfuko {o} {k}. {n} anahitaji mifuko mingapi?",
        "Viti {a} vimepangwa katika safu {k} zilizo sawa. Kila safu ina viti vingapi?",
        "{n} ana {A} na anawapa marafiki {k} idadi sawa hadi {o} {o.those} {o.pre}ishe. "
        "Kila rafiki anapokea {o} {o.ngapi}?",
        "Gawanya {a} kwa {k}. Jibu ni ngapi?",
    ],
    "rest": [
        "Baki ni ngapi {a} ikigawanywa kwa {k}?",
        "Gawanya {a} kwa {k}. Baki ni ngapi?",
        "{n} anapanga {A} kwenye mifuko, kila mfuko {o} {k}. Nje ya mifuko iliyojaa "
        "{o.pre}nabaki {o} {o.ngapi}?",
        "Watoto {k} wanagawana {A} sawasawa. Ni {o} {o.ngapi} {o.pre}nabaki bila kugawanywa?",
        "{n} anapanga {A} katika safu za {o} {k}. Nje ya safu zilizojaa "
        "{o.pre}nabaki {o} {o.ngapi}?",
        "Tukigawanya {a} kwa {k}, tunabaki na ngapi?",
        "Watu {a} wanaunda makundi ya watu {k}. Ni watu wangapi wanabaki bila kundi?",
        "{n} ana {A} na anawapa marafiki {k} idadi sawa, kubwa iwezekanavyo. "
        "{n} anabaki na {o} {o.ngapi}?",
        "Tafuta baki la {a} ÷ {k}.",
    ],
    # The second says whether the larger one is the answer.
    "more": [
        ("{n} ana {A} na {m} ana {B}. Nani ana {o} {o.ingi} zaidi?", True),
        ("{n} ana {A} na {m} ana {B}. Nani ana {o} {o.chache} zaidi?", False),
        ("{n} ana umri wa miaka {a}. {m} ana umri wa miaka {b}. Nani ni mkubwa kwa umri?", True),
        ("{n} ana umri wa miaka {a}. {m} ana umri wa miaka {b}. Nani ni mdogo kwa umri?", False),
        ("Katika mchezo {n} alipata pointi {a} na {m} alipata {b}. "
         "Nani alipata pointi nyingi zaidi?", True),
        ("{n} alisoma kurasa {a} na {m} alisoma kurasa {b}. "
         "Nani alisoma kurasa nyingi zaidi?", True),
        ("{n} alikimbia kilomita {a}, {m} alikimbia {b}. "
         "Nani alikimbia umbali mfupi zaidi?", False),
        ("{n} amebeba {A}, naye {m} amebeba {B}. Nani amebeba {o} {o.ingi} zaidi?", True),
        ("{n} hutumia dakika {a} kufika shuleni, {m} hutumia {b}. Nani hutumia muda mfupi zaidi?",
         False),
        ("Meza ya {n} ina {A} na meza ya {m} ina {b}. Meza ya nani ina {o} {o.ingi} zaidi?", True),
        ("{n} alilipa shilingi {a} na {m} alilipa shilingi {b}. Nani alilipa pesa kidogo zaidi?",
         False),
        ("{n} ameweka akiba ya shilingi {a}, na {m} shilingi {b}. "
         "Nani ana akiba kubwa zaidi?", True),
    ],
    "larger": [
        ("Namba ipi ni kubwa zaidi, {a} au {b}?", True),
        ("Namba ipi ni ndogo zaidi, {a} au {b}?", False),
        ("Kati ya {a} na {b}, ipi ni kubwa?", True),
        ("Kati ya {a} na {b}, ipi ni ndogo?", False),
        ("Niambie namba iliyo kubwa zaidi: {a} au {b}.", True),
        ("Niambie namba iliyo ndogo zaidi: {a} au {b}.", False),
    ],
    "asc": [
        "Panga namba hizi kuanzia ndogo hadi kubwa: {w}.",
        "Panga kwa mpangilio wa kupanda: {w}",
        "Pangilia namba hizi, ndogo kabisa ikitangulia: {w}.",
        "Andika kutoka ndogo kabisa hadi kubwa kabisa: {w}",
        "Hizi hapa ni namba: {w}. Ziandike kuanzia ndogo kwenda kubwa.",
        "Panga {w} ili namba ndogo kabisa iwe ya kwanza.",
    ],
    "desc": [
        "Panga namba hizi kuanzia kubwa hadi ndogo: {w}.",
        "Panga kwa mpangilio wa kushuka: {w}",
        "Pangilia namba hizi, kubwa kabisa ikitangulia: {w}.",
        "Andika kutoka kubwa kabisa hadi ndogo kabisa: {w}",
        "Hizi hapa ni namba: {w}. Ziandike kuanzia kubwa kwenda ndogo.",
        "Panga {w} ili namba kubwa kabisa iwe ya kwanza.",
    ],
    "words": "paka mbwa jua mti nyota mwezi samaki kuku nyumba mashua kofia ufunguo jani mvua "
             "theluji taa kiti meza mlima bahari".split(),
    "kinds": {
        "wanyama": "paka mbwa simba samaki farasi bata nguruwe tembo".split(),
        "rangi": "nyekundu bluu kijani nyeupe nyeusi njano kahawia".split(),
        "matunda": "embe ndizi chungwa papai nanasi tikiti limau".split(),
    },
    "count": [
        "Kuna maneno mangapi katika orodha hii: {w}?",
        "Hesabu maneno haya: {w}.",
        "Hii hapa ni orodha: {w}. Ina maneno mangapi?",
        "{w}: haya ni maneno mangapi?",
        "Niambie nimetaja maneno mangapi: {w}.",
        "Idadi ya maneno haya ni ngapi: {w}?",
    ],
    "times": [
        "Neno {x} limetokea mara ngapi katika orodha hii: {w}?",
        "Hesabu ni mara ngapi neno {x} limo katika orodha: {w}.",
        "Haya hapa ni maneno: {w}. Neno {x} lipo mara ngapi?",
        "Nimetaja neno {x} mara ngapi: {w}?",
        "Katika orodha {w}, unaona neno {x} mara ngapi?",
        "Je, neno {x} limerudiwa kwa jumla ya mara ngapi hapa: {w}?",
    ],
    "kind": [
        "Kuna majina mangapi ya {x} katika orodha hii: {w}?",
        "Hesabu majina ya {x}: {w}.",
        "Hii hapa ni orodha: {w}. Ni maneno mangapi kati ya haya ni majina ya {x}?",
        "Kati ya maneno haya, mangapi ni majina ya {x}: {w}?",
        "Tazama {w}. Majina ya {x} ni mangapi?",
    ],
    "weekdays": "Jumatatu Jumanne Jumatano Alhamisi Ijumaa Jumamosi Jumapili".split(),
    "months": "Januari Februari Machi Aprili Mei Juni Julai Agosti Septemba Oktoba Novemba "
              "Desemba".split(),
    "day_after": [
        "Leo ni {d}. Baada ya siku {k} itakuwa siku gani?",
        "Leo ni {d}. Siku {k} kuanzia leo itakuwa siku gani ya wiki?",
        "Ikiwa leo ni {d}, siku {k} zijazo itakuwa siku gani?",
        "{n} anaondoka {d} na kurudi siku {k} baadaye. {n} anarudi siku gani?",
        "Barua imetumwa {d} na inafika baada ya siku {k}. Barua hiyo inafika siku gani?",
        "Siku gani inakuja siku {k} baada ya {d}?",
    ],
    "day_before": [
        "Leo ni {d}. Siku {k} zilizopita ilikuwa siku gani?",
        "Leo ni {d}. Siku {k} kabla ya leo ilikuwa siku gani ya wiki?",
        "Ikiwa leo ni {d}, ilikuwa siku gani siku {k} zilizopita?",
        "Ni siku gani iliyo siku {k} kabla ya {d}?",
        "{n} alirudi {d}, siku {k} baada ya kuondoka. {n} aliondoka siku gani?",
    ],
    "month_after": [
        "Sasa ni mwezi wa {d}. Baada ya miezi {k} utakuwa mwezi gani?",
        "Ni mwezi gani ulio miezi {k} baada ya {d}?",
        "{n} anaanza kazi mwezi wa {d} na kuimaliza miezi {k} baadaye. {n} anamaliza mwezi gani?",
        "Ikiwa mwezi huu ni {d}, miezi {k} ijayo utakuwa mwezi gani?",
        "Mkulima anapanda mahindi mwezi wa {d} na kuvuna miezi {k} baadaye. "
        "Anavuna mwezi gani?",
    ],
    "month_before": [
        "Sasa ni mwezi wa {d}. Miezi {k} iliyopita ulikuwa mwezi gani?",
        "Ni mwezi gani ulio miezi {k} kabla ya {d}?",
        "Ikiwa mwezi huu ni {d}, ulikuwa mwezi gani miezi {k} iliyopita?",
        "{n} alimaliza kazi mwezi wa {d}, miezi {k} baada ya kuianza. {n} aliianza mwezi gani?",
        "Nyumba ilikamilika mwezi wa {d}, miezi {k} baada ya ujenzi kuanza. "
        "Ujenzi ulianza mwezi gani?",
    ],
    "time_after": [
        "Sasa ni saa {t}. Baada ya dakika {b} itakuwa saa ngapi?",
        "Saa ya ukutani inaonyesha {t}. Itaonyesha saa ngapi dakika {b} baadaye?",
        "Filamu inaanza saa {t} na inachukua dakika {b}. Itaisha saa ngapi?",
        "{n} anaondoka saa {t} na kutembea kwa dakika {b}. {n} anafika saa ngapi?",
        "Ni saa ngapi dakika {b} baada ya saa {t}?",
        "Somo linaanza saa {t} na kuchukua dakika {b}. Litakwisha saa ngapi?",
    ],
    "time_before": [
        "Sasa ni saa {t}. Dakika {b} zilizopita ilikuwa saa ngapi?",
        "Ni saa ngapi dakika {b} kabla ya saa {t}?",
        "Filamu iliisha saa {t}. Ilichukua dakika {b}. Ilianza saa ngapi?",
        "{n} alifika saa {t} baada ya kutembea kwa dakika {b}. {n} aliondoka saa ngapi?",
        "Basi linaondoka saa {t}. {n} anatakiwa kutoka nyumbani dakika {b} kabla ya hapo. "
        "{n} atoke saa ngapi?",
    ],
    "time_hours": [
        "Sasa ni saa {t}. Itakuwa saa ngapi baada ya muda wa saa {k}?",
        "{n} analala saa {t} na kulala kwa muda wa saa {k}. {n} anaamka saa ngapi?",
        "Treni inaondoka saa {t} na safari inachukua muda wa saa {k}. Treni inafika saa ngapi?",
        "Saa ya ukutani inaonyesha {t}. Muda wa saa {k} ukipita, itaonyesha saa ngapi?",
        "Mkutano unaanza saa {t} na kudumu kwa muda wa saa {k}. Utaisha saa ngapi?",
    ],
    # How many of the small one make the big one.
    "units": [
        (100, ("mita", "ngapi"), ("sentimita", "ngapi")),
        (1000, ("kilomita", "ngapi"), ("mita", "ngapi")),
        (1000, ("kilogramu", "ngapi"), ("gramu", "ngapi")),
        (60, ("saa", "ngapi"), ("dakika", "ngapi")),
        (60, ("dakika", "ngapi"), ("sekunde", "ngapi")),
        (24, ("siku", "ngapi"), ("saa", "ngapi")),
        (7, ("wiki", "ngapi"), ("siku", "ngapi")),
        (12, ("miaka", "mingapi"), ("miezi", "mingapi")),
        (10, ("sentimita", "ngapi"), ("milimita", "ngapi")),
        (1000, ("lita", "ngapi"), ("mililita", "ngapi")),
    ],
    "unit": [
        "Je, {A} ni sawa na {small} {small.ngapi}?",
        "Badilisha {A} kuwa {small}.",
        "Kamilisha: {A} = {small} {small.ngapi}?",
        "Kuna {small} {small.ngapi} katika {A}?",
        "Eleza {A} kwa {small}.",
        "Ukibadilisha {A} kuwa {small}, unapata {small} {small.ngapi}?",
    ],
    "unit_and": [
        "Je, {A} na {B} ni sawa na {small} {small.ngapi}?",
        "Badilisha {A} na {B} kuwa {small}.",
        "Kuna {small} {small.ngapi} katika {A} na {B}?",
        "Kamilisha: {A} + {B} = {small} {small.ngapi}?",
        "Kipimo fulani ni {A} na {B}. Hiyo ni {small} {small.ngapi} kwa jumla?",
    ],
    # More than, the same told the other way round, and who is first and last.
    "relations": [
        ("{n} ni mrefu kuliko {m}.", "{m} ni mfupi kuliko {n}.",
         "Nani ni mrefu kuliko wote?", "Nani ni mfupi kuliko wote?"),
        ("{n} ni mkubwa kwa umri kuliko {m}.", "{m} ni mdogo kwa umri kuliko {n}.",
         "Nani ni mkubwa kwa umri kuliko wote?", "Nani ni mdogo kwa umri kuliko wote?"),
        ("{n} anakimbia kwa kasi zaidi kuliko {m}.", "{m} anakimbia polepole zaidi kuliko {n}.",
         "Nani anakimbia kwa kasi kuliko wote?", "Nani anakimbia polepole kuliko wote?"),
        ("{n} ni mzito kuliko {m}.", "{m} ni mwepesi kuliko {n}.",
         "Nani ni mzito kuliko wote?", "Nani ni mwepesi kuliko wote?"),
        ("{n} ana {o} {o.ingi} zaidi kuliko {m}.", "{m} ana {o} {o.chache} zaidi kuliko {n}.",
         "Nani ana {o} {o.ingi} kuliko wote?", "Nani ana {o} {o.chache} kuliko wote?"),
        ("{n} ana nguvu kuliko {m}.", "{m} ni dhaifu kuliko {n}.",
         "Nani ana nguvu kuliko wote?", "Nani ni dhaifu kuliko wote?"),
        ("{n} alifika nyumbani baada ya {m}.", "{m} alifika nyumbani kabla ya {n}.",
         "Nani alifika nyumbani wa mwisho?", "Nani alifika nyumbani wa kwanza?"),
    ],
    "join": ", ",  # between listed words
    "space": " ",  # between sentences, and between a word and its number
    "answer": "Jibu ni {}.",
    "systems": ["Wewe ni msaidizi mwema.", "Jibu swali.", "Wewe ni hodari wa hesabu.",
                "Wewe ni Tenon, modeli ndogo. Jibu kwa ufupi."],
    # The same answer in each language: what nano is and can do.
    "greetings": [
        ("Habari",
         "Habari! Mimi ni modeli ndogo. Niombe kukokotoa, kulinganisha, kupanga au kuhesabu."),
        ("Jambo!",
         "Jambo! Mimi ni modeli ndogo. Niombe kukokotoa, kulinganisha, kupanga au kuhesabu."),
        ("Hujambo",
         "Sijambo! Mimi ni modeli ndogo. Niombe kukokotoa, kulinganisha, kupanga au kuhesabu."),
        ("Wewe ni nani?",
         "Mimi ni Tenon nano, modeli ndogo. "
         "Ninaweza kukokotoa, kulinganisha, kupanga na kuhesabu."),
        ("Unaweza kufanya nini?",
         "Ninaweza kukokotoa, kulinganisha, kupanga na kuhesabu. Jaribu: 27 + 35 ni ngapi?"),
        ("Asante!", "Karibu!"),
        ("Asante sana", "Karibu sana!"),
    ],
}
