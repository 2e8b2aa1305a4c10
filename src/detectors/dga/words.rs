//! Words that names of sites are made of, in the languages that most of them use; put together for this model.

/// The words, by spaces.
pub const WORDS: &str = "\
about academy access account active adventure agency agent air airport album alert alliance alpha analytics angel animal apartment apple archive \
area arena art article artist assist atlas auction audio auto award baby back backup badge bakery ball bamboo banana band bank banner bar base \
basic basket bath battery beach bean bear beauty bed beer bell berry best beta better bicycle big bike bill bird birthday black blog blood bloom \
blue board boat body bonus book boot border boss bottle box boy brain brand bread breakfast brick bridge bright broker brother browser budget \
build building bull bus business butter button buy buzz cabin cable cafe cake calendar call camera camp campus canal candle capital captain car \
carbon card care career cargo carpet cash castle cat catalog cell center central century certificate chain chair champion change channel chapter \
charge charity chart chat cheap check cheese chef cherry chess chicken child chocolate choice church cinema circle city class classic clean clear \
click client climate clinic clock cloud clover club coach coast code coffee coin cold collection college color comfort comic command commerce \
common community company compare computer concept concert connect consult contact content contest control cook cool copper corner corporate \
cottage cotton council country course court cover craft cream create creative credit crew cricket cross crown crystal culture customer cycle daily \
dance dark data date dating day deal debate deep delivery delta dental deposit design desk detail develop device diamond diet digital dinner \
direct directory discount discover display doctor document dog dollar domain door download dragon dream dress drink drive driver drop dynamic eagle \
early earth east easy eco economy edge edit education elegant element elite email emerald employee empire energy engine english enter \
entertainment equity escape estate event every exchange expert explore export express extra eye face factory fair faith family fan farm fashion \
fast father favorite feature feed festival field file film final finance find fine fire first fish fit fitness flag flash fleet flight flow flower \
fly focus food foot force forest forever form fortune forum forward foundation fox frame free fresh friend front fruit fuel full fun fund future \
gallery game garage garden gate gateway general gentle gift girl glass global gold golf good grace grand graphic grass great green grid ground \
group grow guard guest guide guitar hair half hall hand happy harbor hard harmony harvest health heart heat help heritage hero high hill history \
hobby holiday home honey hope horizon horse hospital host hot hotel house human hunter ice icon idea image impact import income index industry \
info ink inn innovation inside insight institute insurance intelligent interactive interior international internet invest invoice iron island \
item jacket jewel job join journal journey juice jump junior justice keeper key kid kind king kitchen knight knowledge label labor ladder lady \
lake lamp land language laser laundry law lawyer leader league learn leather legal legend lemon lesson letter level liberty library license life \
light lime line link lion list listen live living loan local lock lodge logic login logistics long look lotus love luck lunch luxury machine \
magazine magic magnet mail main maker mall management manager mango map marble marine market marketing master match material matrix maximum meal \
media medical meeting member memory menu merchant message metal meter method metro micro middle mighty military milk mind mine mini minute mirror \
mission mobile model modern moment money monitor monkey month moon morning mother motion motor mountain mouse movie museum music national native \
nature navy network never new news next night noble north note notice novel number nurse nutrition oak ocean office official offer oil online open \
opera option orange orbit orchard order organic origin outdoor outlet owl owner pacific package page paint palace palm panda panel paper paradise \
parcel parent park partner party passion path patient pay payment peace peak pearl pepper perfect person pet phone photo piano picture pilot pine \
pink pizza place planet plant plastic platform play player plaza plumbing plus pocket point polar police policy pool popular port portal positive \
post power premium press prime print prize product professional profile profit program project promo property protect public publish pulse purple \
quality quantum queen quest question quick quiet quote rabbit race radio rain rainbow ranch random rapid reader ready real recipe record recover \
red register rental repair report research reserve resort resource response result retail review reward rice rich ride ring river road robot rock \
rocket roof room root rose round royal rugby runner safe safety sail salad sale salon salt sand satellite save school science score scout script \
sea search season secret secure security seed select senior sense server service shade share sharp shelter shield shine ship shirt shoe shop shore \
show side signal silent silk silver simple single sister site skill skin sky sleep slim smart smile smoke snow social soft software soil solar \
solid solution song sound source south space spark special speed spirit splash sport spot spring square staff stage standard star start state \
station status steel step stock stone storage store storm story strategy stream street strong student studio study style success sugar summer sun \
sunset super supply support surf survey swim switch symbol system table tag talent target task taste tax taxi teacher team tech technology \
template tennis test text theater theme think thunder ticket tiger timber time tiny tip title today tool top total touch tour tower town toy track \
trade trail train training transfer translate transport travel treasure tree trend trip tropical truck true trust turbo turtle tutor twin union \
unique unit universe university update urban user valley value vault vector vehicle velvet venture video view village vintage violet vision visit \
visual vital voice volume vote voyage wallet warehouse watch water wave way wealth weather web wedding week welcome wellness west whale wheel \
white whole wild willow wind window wine wing winner winter wire wisdom wise wolf woman wonder wood word work workshop world write yacht year \
yellow yoga young youth zebra zero zone \
anmelden apotheke arbeit arzt auftrag auskunft bahn bauen baum beratung berg bericht bild blume brief buch burg dach deutsch dienst dorf druck \
einkauf energie fabrik fahrt feier fenster ferien flug frau freund gast geld gemeinde geschenk gesundheit glas haus heim herz hilfe holz hund \
immobilien jugend kaffee karte kasse kaufen kinder kirche klinik konto kraft krank kunde kunst laden leben lehrer licht liebe luft maler markt \
messe miete mittel nachricht netz neu pflege preis rathaus recht reise ring schiff schloss schmuck schnell schule schutz spiel stadt stein steuer \
strom tag technik tier urlaub verein verlag versicherung wagen wald wasser weg wein welt werk wetter wirtschaft wohnung zeit zeitung zimmer \
achat agence amour annonce argent atelier avenir bateau boutique chambre cheval conseil cuisine direct eau ecole enfant entreprise etoile facile \
famille femme ferme fleur forme gagner jardin jeune jeux jour libre livre lumiere magasin maison marche monde montagne musique nouvelle oiseau \
pain paris parole pays plage porte sante service soleil temps terre travail vacances ville voiture voyage \
agua amigo banco barrio blanco bueno calle camino campo casa ciudad cocina compra corazon correo cultura dinero empresa escuela estrella familia \
fiesta flores fuerza grande hermano hogar hombre isla joven juego libro luna madera mercado mejor montana mujer mundo musica nacional noticias \
nuevo oferta oro playa precio pueblo puerta rapido salud seguro sierra sol tienda tierra trabajo verde viaje vida viento \
amore bella calcio casa centro cielo citta domani dolce donna estate fiore forte giardino giorno italia lavoro mare mondo nuovo paese pane \
piazza prima ragazzo scuola sole sport stella strada studio tempo terra uomo viaggio vino";
