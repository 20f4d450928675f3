package simulate

// What made-up people write. The wordings are our own, after the patients' words
// of clinical digest 1.2, 1.3 and 3; none was written by a patient.

// site is where a recurrence shows, with what she says of it. Shares of sites are
// rough ones of first recurrences after early breast cancer: bone most often, then
// local, lung, liver and brain.
type site struct {
	name  string
	share int // of 100
	// keys are parts of the names of the concepts that a question about it has.
	keys []string
	// mild, bad and red are her words while it is slight, when it wears on, and when
	// it has become an emergency.
	mild, bad, red []string
}

var sites = []site{
	{"bone", 38, []string{"pain", "bone", "back", "limp"},
		[]string{"a nagging ache in my hip for a few weeks", "my back aches low down, always the same place", "got an ache in one rib that wont go"},
		[]string{"deep ache in my hip, paracetamol does nothing", "my back pain is there all night and keeps me up", "pain in my spine, worse lying down, getting worse"},
		[]string{"my back is agony and my legs feel weak", "legs like jelly and cant feel when i wee", "terrible back pain and numb between my legs"}},
	{"local", 27, []string{"breast", "lump", "skin", "nipple", "armpit", "swell"},
		[]string{"a small hard bit near my scar", "found a pea sized lump in my breast", "thick patch by my scar"},
		[]string{"the lump by my scar is bigger", "lump under my arm like an egg", "a rash on my scar that wont go"},
		nil},
	{"lung", 15, []string{"breath", "cough", "chest"},
		[]string{"a cough that wont shift, 3 weeks now", "bit puffed out on the stairs lately"},
		[]string{"getting more breathless each week, cant do the stairs", "cough for a month and short of breath"},
		[]string{"cant get my breath even sitting down", "suddenly cant breathe and chest pain"}},
	{"liver", 13, []string{"abdo", "unwell", "appetite", "weight", "nausea", "jaundice", "tired"},
		[]string{"off my food and bloated for 2 weeks", "losing weight without trying"},
		[]string{"pain under my right ribs and feel sick every day", "clothes hanging off me, no appetite for a month"},
		[]string{"my eyes have gone yellow"}},
	{"brain", 7, []string{"head", "vision", "unsteady", "pain", "unwell"},
		[]string{"headaches most mornings for 2 weeks"},
		[]string{"headache every morning and being sick with it", "keep walking into doors and my sight is blurry"},
		[]string{"had a fit this morning", "my face has dropped on one side and words come out wrong"}},
}

// clot is an emergency that comes at once and is no recurrence.
var clot = site{"clot", 0, []string{"breath", "chest", "leg", "pain"}, nil, nil,
	[]string{"my calf is swollen hot and painful", "suddenly short of breath with a sharp pain in my chest"}}

// harmless is what people tell of that is no recurrence: ageing, gardening, tablets.
var harmless = []string{
	"my hip aches, i think its the gardening", "had a cold with a cough but its going", "hot flushes are awful at night", "joints stiff in the morning from the tablets",
	"just a bit tired, not sleeping well", "a headache yesterday, gone now", "my scar itches when its cold", "back twinge after lifting the grandson", "tummy bug last week, all better now",
	"knees creak but thats age", "achy after my flu jab",
}

var (
	noes     = []string{"no", "No", "NO", "nope", "no thanks", "no nothing new", "No, all fine", "no xx"}
	yeses    = []string{"yes", "Yes", "YES", "yes a bit", "yeah"}
	unsures  = []string{"not sure", "UNSURE", "maybe"}
	nothings = []string{"no", "nothing else thanks", "no thats all", "no thank you", "all good"}
	thanks   = []string{"thanks", "thank you", "ok thanks", "ta x"}
	chatter  = []string{
		"just to say the choir is back on, lovely to sing again", "weather has been grim but the dog still needs his walk", "my daughter is visiting with the little ones this weekend",
		"went to the coast on sunday, felt like myself again", "could you tell sister the leaflet was helpful", "is the cafe in the outpatients open again?", "we are off to my sisters for a week",
	}
	admins     = []string{"what time is my appointment on thursday", "can i have my flu jab", "need a new prescription for my tablets", "can someone ring me please", "when is my mammogram due"}
	longer     = []string{"sorry for the late reply, been up to my eyes with the house move. ", "hello love, hope you are well. ", "morning, i meant to answer yesterday but the phone was flat. "}
	dates      = []string{"3 weeks ago", "about 2 weeks", "since last month", "a week ago", "not sure"}
	plainYeses = []string{"yes", "Yes", "YES", "yes it is", "yep"}
	plainNoes  = []string{"no", "No", "NO", "not yet"}
	away       = []string{"in hospital at the moment, will answer when im home"}
)

// oftenYes is how many say yes to a question that is not about a symptom, by its text: an
// assumption for each.
var oftenYes = map[string]float64{"welcome.invitation": 0.8, "contact.right": 0.97, "shared.go-on": 0.7, "mammogram.been": 0.75, "mammogram.date": 0.85, "mammogram.result": 0.85,
	"survey.contact": 0.85, "ask.eased": 0.7, "ask.drinks-down": 0.97, "ask.trying": 0.4}

// plainWords answer practical questions in her own words.
var plainWords = map[string][]string{
	"contact.how":  {"i have a new number, 07700 900456", "please ring the house phone", "my husband sees this phone, letters are better"},
	"moving.where": {"Leeds", "the hospital in Cardiff"},
}

var givenNames = []string{"Mary", "Sian", "Dora", "Anne", "Grace", "Margaret", "Priya", "Joan", "Carol", "Fatima", "Helen", "Jean", "Rhian", "Olive", "Susan", "Yetunde", "Linda", "Eileen", "Agnes", "Nasreen"}
var familyNames = []string{"Okafor", "Pritchard", "Jones", "Smith", "Khan", "Brown", "Evans", "Murray", "Patel", "O'Neill", "Walker", "Hughes", "Green", "Campbell", "Adeyemi", "Wood", "Begum", "Fraser", "Lewis", "Doyle"}
