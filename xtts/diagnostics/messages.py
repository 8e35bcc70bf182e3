"""What each finding says, in English and Persian: a title, the sentence with its numbers, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wording:
    """A title for counting, a sentence with `{number:format}` fields, and the next step (with fields too)."""

    title: str
    text: str
    todo: str


ENGLISH: dict[str, Wording] = {
    "three_digit_loss_raw_mel": Wording(
        "three-digit loss from un-normalised mel",
        "The first printed loss was {loss:.0f}: mel weight {weight:g} times an error of about {mel:.1f} on "
        "un-normalised log-mel, whose values lie around -5.3. That is scale, not bad learning.",
        "Set mel_normalisation: standard; the mel error then starts near 0.8. Compare trials by their objective, "
        "never by this loss.",
    ),
    "three_digit_loss_weight": Wording(
        "three-digit loss from a large mel weight",
        "The first printed loss was {loss:.0f}: mel weight {weight:g} times an error of about {mel:.2f}. That is "
        "the weight, not bad learning.",
        "Use a mel weight of 1 to 5; under AdamW only mel/kl and clip/mel act, so keep these ratios. Compare "
        "trials by their objective, never by this loss.",
    ),
    "loss_spikes": Wording(
        "loss spikes",
        "The loss jumped to {spike:.3g} in epoch {epoch}, {times:.1f} times the {usual:.3g} that was usual there; "
        "{count} of {epochs} epochs had such a jump.",
        "Look for odd clips with `check DIR`; if there are none, lower the learning rate or the gradient clip.",
    ),
    "plateau_at_mean_frame": Wording(
        "no better than the mean frame",
        "After {epochs} epochs the objective is {objective:.3f}, and always predicting the mean frame gives "
        "{frame:.3f}: only {skill:.1%} has been learned beyond that.",
        "Check the transcripts and their alignment (`check DIR`) and that no loss clip is reached; "
        "then raise the learning rate or train longer.",
    ),
    "diverged": Wording(
        "diverged",
        "Training diverged in epoch {epoch}: {term} became {value} at step {step}.",
        "Lower the learning rate, or clip the gradient more tightly (0.3 to 1.0); a config like this one is out.",
    ),
    "clip_never": Wording(
        "gradient clip that never acts",
        "The gradient clip of {clip:g} acted on no step: in the last epoch half of the gradient norms were under "
        "{p50:.3g} and 95 % under {p95:.3g}.",
        "It is a dead knob here: leave it out of the search. Only a clip near {p95:.2g} would act on the spikes "
        "alone; what counts is the ratio clip/mel.",
    ),
    "clip_always": Wording(
        "gradient clip that always acts",
        "The gradient clip of {clip:g} acted on every step: in the last epoch half of the gradient norms were "
        "over {p50:.3g}. Under AdamW any clip well below that trains the same model.",
        "It is a dead knob here: leave it out of the search. Only a clip near {p95:.2g} would act on the spikes "
        "alone; what counts is the ratio clip/mel.",
    ),
    "loss_clip_saturated": Wording(
        "loss-value clip that stops learning",
        "The loss-value clip of {clip:g} zeroed the gradient on {share:.0%} of the steps: these taught the model "
        "nothing.",
        "Take the clip away (loss_value_clip: null) or standardise the mel; tame spikes with the gradient clip "
        "instead.",
    ),
    "loss_clip_never": Wording(
        "loss-value clip that is never reached",
        "The loss-value clip of {clip:g} was never reached, so it changed nothing.",
        "Leave it out (loss_value_clip: null): reached, it would stop learning.",
    ),
    "kl_collapsed": Wording(
        "collapsed latents",
        "The latents carry {nats:.2f} nats a patch (val/kl {kl:.5f} a mel value): the posterior has collapsed "
        "onto the prior, and the decoder works without them.",
        "Lower kl_loss_weight or raise mel_loss_weight (mel/kl is {ratio:g} here).",
    ),
    "prior_lags": Wording(
        "prior that does not follow the posterior",
        "Since epoch {epoch} val/kl rose from {kl_from:.3f} to {kl_to:.3f} and val/mel fell from {mel_from:.3f} "
        "to {mel_to:.3f}, but the objective did not improve ({from_objective:.3f} to {to_objective:.3f}): the "
        "latents hold detail that the prior cannot predict.",
        "Raise kl_loss_weight or lower mel_loss_weight (mel/kl is {ratio:g} here).",
    ),
    "text_ignored": Wording(
        "text ignored",
        "With the texts swapped the objective changes by {use:+.3f} (interval {low:+.3f} to {high:+.3f}, not "
        "clear of 0): the model ignores its text.",
        "Do not choose by this objective yet: train longer, and check transcripts and alignment (`check DIR`).",
    ),
    "worsened_after_best": Wording(
        "worse after its best epoch",
        "The objective was best in epoch {epoch} ({best:.3f}) and ended {worse:.1%} higher ({end:.3f}).",
        "Take the weights of the best epoch (best/ holds them); if this is common, train for fewer epochs or on "
        "more speech.",
    ),
    "low_loss_not_learning": Wording(
        "low loss without learning",
        "The printed loss is down to {loss:.2f}, yet the objective is only {skill:.1%} better than always "
        "predicting the mean frame: the loss is low because its weights are (mel {weight:g}), not because speech "
        "was learned.",
        "Judge by the objective; raise the learning rate or train longer before touching the weights again.",
    ),
    "still_falling": Wording(
        "still improving at the end",
        "The objective was still falling by {rate:.1%} an epoch when training ended in epoch {epochs}.",
        "More epochs (--epochs) would help this config.",
    ),
    "best_on_edge": Wording(
        "best on the edge of the range",
        "The best trial has {name} = {value:g}, at the {side} end of the range searched ({low:g} to {high:g}).",
        "The optimum may lie outside. The limits have their reasons: search the ratios first (`--space balance`); "
        "--allow-unsafe looks beyond, as controls only.",
    ),
    "knobs_act_as_one": Wording(
        "knobs that act as one",
        "Over {trials} trials (epoch {epoch}) {names} act through their {through} alone: it moves the objective "
        "by {acts:.1%}, scaling them {scaling} by {idle:.1%} (p = {p:.2f}).",
        "Search the {through} and fix the rest (`--space balance`): the same answer from fewer trials.",
    ),
    "default_as_good": Wording(
        "default as good",
        "The best of {trials} trials ({best:.4f}, {trial_id}) is only {gain:.1%} better than the default "
        "({default:.4f}): less than the {margin:g} % that count.",
        "Keep the default, unless confirmation over fresh seeds says otherwise.",
    ),
    "default_as_good_confirmed": Wording(
        "default as good, confirmed",
        "Confirmed over fresh seeds, the search's finalist against the default: {word}.",
        "Keep the default: your weights are fine. Look at the learning rate, the number of steps and the data instead.",
    ),
    "steps_are_the_limit": Wording(
        "too few steps, not wrong weights",
        "{trials} full-length trials were still improving by {rate:.1%} an epoch at the end (median), while the "
        "best of them is {spread:.1%} better than the median one: steps, not weights, are the limit.",
        "Train longer (--epochs), or take smaller batches for more updates an epoch, before you search weights "
        "further.",
    ),
    "learning_rate_is_the_limit": Wording(
        "learning rate, not weights",
        "Over {trials} trials (epoch {epoch}) the learning rate moves the objective by {acts:.1%}; of the other "
        "knobs {other} moves it most, by {others:.1%}.",
        "Settle the learning rate first, near {value:.1e} (the best trial's); the weights matter less.",
    ),
    "errors_rank_differently": Wording(
        "errors that rank differently",
        "{metric} and the objective order {trials} trials differently (epoch {epoch}, rank correlation "
        "{rho:.2f}): the best by {metric}, {trial_id}, is number {rank} by the objective.",
        "Trust the objective, which runs freely and needs the text; listen to both trials' samples.",
    ),
}

PERSIAN: dict[str, Wording] = {
    "three_digit_loss_raw_mel": Wording(
        "loss سه‌رقمی به سبب mel نرمال‌نشده",
        "نخستین loss چاپ‌شده {loss:.0f} بود: وزن mel برابر {weight:g} ضرب در خطای حدود {mel:.1f} روی log-mel "
        "نرمال‌نشده که مقدارهایش پیرامون منفی 5.3 است. این از مقیاس است، نه از بد یاد گرفتن.",
        "مقدار mel_normalisation را standard بگذارید؛ آن‌گاه خطای mel از حدود 0.8 آغاز می‌شود. آزمایش‌ها را با "
        "تابع هدف بسنجید، هرگز با این loss.",
    ),
    "three_digit_loss_weight": Wording(
        "loss سه‌رقمی به سبب وزن بزرگ mel",
        "نخستین loss چاپ‌شده {loss:.0f} بود: وزن mel برابر {weight:g} ضرب در خطای حدود {mel:.2f}. این از وزن است، "
        "نه از بد یاد گرفتن.",
        "وزن mel را بین 1 تا 5 بگذارید؛ با AdamW تنها نسبت‌های mel/kl و clip/mel اثر دارند، پس این نسبت‌ها را نگه "
        "دارید. آزمایش‌ها را با تابع هدف بسنجید، هرگز با این loss.",
    ),
    "loss_spikes": Wording(
        "جهش loss",
        "loss در دورهٔ {epoch} به {spike:.3g} جهید، یعنی {times:.1f} برابر مقدار معمول آن‌جا ({usual:.3g})؛ از "
        "{epochs} دوره {count} دوره چنین جهشی داشت.",
        "با `check DIR` دنبال فایل‌های صوتی نامعمول بگردید؛ اگر نبود، نرخ یادگیری یا حد برش گرادیان را کم کنید.",
    ),
    "plateau_at_mean_frame": Wording(
        "بهتر از فریم میانگین نیست",
        "پس از {epochs} دوره تابع هدف {objective:.3f} است و پیش‌بینی همیشگی فریم میانگین {frame:.3f} می‌دهد: تنها "
        "{skill:.1%} بیش از آن یاد گرفته شده است.",
        "متن‌ها و هم‌ترازی‌شان را بررسی کنید (`check DIR`) و ببینید برش loss فعال نباشد؛ سپس نرخ "
        "یادگیری را بیشتر کنید یا طولانی‌تر آموزش دهید.",
    ),
    "diverged": Wording(
        "واگرایی",
        "آموزش در دورهٔ {epoch} واگرا شد: {term} در گام {step} برابر {value} شد.",
        "نرخ یادگیری را کم کنید یا گرادیان را محدودتر ببُرید (0.3 تا 1.0)؛ چنین پیکربندی‌ای کنار گذاشته می‌شود.",
    ),
    "clip_never": Wording(
        "برش گرادیانی که هرگز اثر نمی‌کند",
        "برش گرادیان {clip:g} در هیچ گامی اثر نکرد: در دورهٔ آخر نیمی از نُرم‌های گرادیان زیر {p50:.3g} و 95 "
        "درصدشان زیر {p95:.3g} بود.",
        "این‌جا پیچی بی‌اثر است: از جست‌وجو کنارش بگذارید. تنها برشی نزدیک {p95:.2g} فقط بر جهش‌ها اثر می‌کند؛ "
        "آن‌چه به حساب می‌آید نسبت clip/mel است.",
    ),
    "clip_always": Wording(
        "برش گرادیانی که همیشه اثر می‌کند",
        "برش گرادیان {clip:g} در همهٔ گام‌ها اثر کرد: در دورهٔ آخر نیمی از نُرم‌های گرادیان بالای {p50:.3g} بود. "
        "با AdamW هر برشی که بسیار کمتر از این باشد همان مدل را می‌سازد.",
        "این‌جا پیچی بی‌اثر است: از جست‌وجو کنارش بگذارید. تنها برشی نزدیک {p95:.2g} فقط بر جهش‌ها اثر می‌کند؛ "
        "آن‌چه به حساب می‌آید نسبت clip/mel است.",
    ),
    "loss_clip_saturated": Wording(
        "برش loss که یادگیری را متوقف می‌کند",
        "برش مقدار loss با حد {clip:g} گرادیان را در {share:.0%} گام‌ها صفر کرد: این گام‌ها چیزی به مدل نیاموختند.",
        "این برش را بردارید (loss_value_clip: null) یا mel را نرمال کنید؛ جهش‌ها را با برش گرادیان مهار کنید.",
    ),
    "loss_clip_never": Wording(
        "برش loss که هرگز به آن نمی‌رسد",
        "برش مقدار loss با حد {clip:g} هرگز به کار نیفتاد، پس چیزی را تغییر نداد.",
        "آن را بردارید (loss_value_clip: null)؛ اگر به کار بیفتد یادگیری را متوقف می‌کند.",
    ),
    "kl_collapsed": Wording(
        "فروپاشی نهفته‌ها",
        "نهفته‌ها در هر تکه تنها {nats:.2f} نات اطلاعات دارند (val/kl برابر {kl:.5f} برای هر مقدار mel): پسین بر "
        "پیشین فرو افتاده و رمزگشا بدون آن کار می‌کند.",
        "kl_loss_weight را کم یا mel_loss_weight را زیاد کنید (این‌جا mel/kl برابر {ratio:g} است).",
    ),
    "prior_lags": Wording(
        "پیشین از پسین جا می‌ماند",
        "از دورهٔ {epoch} به بعد val/kl از {kl_from:.3f} به {kl_to:.3f} رسید و val/mel از {mel_from:.3f} به "
        "{mel_to:.3f} کم شد، ولی تابع هدف بهتر نشد ({from_objective:.3f} به {to_objective:.3f}): نهفته‌ها جزئیاتی "
        "دارند که پیشین نمی‌تواند پیش‌بینی کند.",
        "kl_loss_weight را زیاد یا mel_loss_weight را کم کنید (این‌جا mel/kl برابر {ratio:g} است).",
    ),
    "text_ignored": Wording(
        "بی‌اعتنایی به متن",
        "با جابه‌جا کردن متن‌ها تابع هدف {use:+.3f} تغییر می‌کند (بازهٔ {low:+.3f} تا {high:+.3f} که از صفر جدا "
        "نیست): مدل به متن اعتنا نمی‌کند.",
        "هنوز با این تابع هدف انتخاب نکنید: طولانی‌تر آموزش دهید و متن‌ها و هم‌ترازی را بررسی کنید (`check DIR`).",
    ),
    "worsened_after_best": Wording(
        "بدتر شدن پس از بهترین دوره",
        "تابع هدف در دورهٔ {epoch} بهترین بود ({best:.3f}) و در پایان {worse:.1%} بالاتر ({end:.3f}) بود.",
        "وزن‌های بهترین دوره را بردارید (در best/ است)؛ اگر این زیاد رخ می‌دهد، دوره‌های کمتر یا گفتار بیشتری به "
        "کار ببرید.",
    ),
    "low_loss_not_learning": Wording(
        "loss کم بدون یادگیری",
        "loss چاپ‌شده به {loss:.2f} رسیده، ولی تابع هدف تنها {skill:.1%} بهتر از پیش‌بینی همیشگی فریم میانگین "
        "است: loss کم است چون وزن‌هایش کم است (mel برابر {weight:g})، نه چون گفتار یاد گرفته شده است.",
        "با تابع هدف داوری کنید؛ پیش از دست زدن دوباره به وزن‌ها نرخ یادگیری را بیشتر کنید یا طولانی‌تر آموزش دهید.",
    ),
    "still_falling": Wording(
        "هنوز در حال بهتر شدن",
        "تابع هدف هنگام پایان آموزش در دورهٔ {epochs} هنوز هر دوره {rate:.1%} کم می‌شد.",
        "دوره‌های بیشتر (--epochs) به این پیکربندی کمک می‌کند.",
    ),
    "best_on_edge": Wording(
        "بهترین در لبهٔ بازه",
        "در بهترین آزمایش {name} برابر {value:g} است، یعنی در سرِ {side} بازهٔ جست‌وجو ({low:g} تا {high:g}).",
        "شاید بهینه بیرون از بازه باشد. حدها دلیل دارند: نخست نسبت‌ها را بجویید (`--space balance`)؛ با "
        "--allow-unsafe می‌توان فراتر را تنها به‌عنوان شاهد دید.",
    ),
    "knobs_act_as_one": Wording(
        "پیچ‌هایی که یکی هستند",
        "در {trials} آزمایش (دورهٔ {epoch}) {names} تنها از راه {through} اثر دارند: این تابع هدف را {acts:.1%} "
        "جابه‌جا می‌کند و تغییر دادن {scaling} آن‌ها {idle:.1%} (p = {p:.2f}).",
        "{through} را بجویید و بقیه را ثابت بگذارید (`--space balance`): همان پاسخ با آزمایش‌های کمتر.",
    ),
    "default_as_good": Wording(
        "پیش‌فرض به همان خوبی است",
        "بهترین از {trials} آزمایش ({best:.4f}، {trial_id}) تنها {gain:.1%} بهتر از پیش‌فرض ({default:.4f}) است: "
        "کمتر از {margin:g} درصدی که به حساب می‌آید.",
        "پیش‌فرض را نگه دارید، مگر این‌که تأیید با بذرهای تازه چیز دیگری بگوید.",
    ),
    "default_as_good_confirmed": Wording(
        "پیش‌فرض به همان خوبی است (تأییدشده)",
        "نتیجهٔ تأیید با بذرهای تازه برای پیکربندی برگزیده در برابر پیش‌فرض: {word}.",
        "پیش‌فرض را نگه دارید: وزن‌های شما خوب‌اند. به نرخ یادگیری، شمار گام‌ها و داده‌ها بپردازید.",
    ),
    "steps_are_the_limit": Wording(
        "گام‌های کم، نه وزن‌های نادرست",
        "{trials} آزمایش کامل در پایان هنوز هر دوره {rate:.1%} (میانه) بهتر می‌شدند، در حالی که بهترینشان "
        "{spread:.1%} بهتر از میانه است: محدودیت از شمار گام‌هاست، نه از وزن‌ها.",
        "پیش از جست‌وجوی بیشترِ وزن‌ها طولانی‌تر آموزش دهید (--epochs) یا با دسته‌های کوچک‌تر در هر دوره گام‌های "
        "بیشتری بردارید.",
    ),
    "learning_rate_is_the_limit": Wording(
        "نرخ یادگیری، نه وزن‌ها",
        "در {trials} آزمایش (دورهٔ {epoch}) نرخ یادگیری تابع هدف را {acts:.1%} جابه‌جا می‌کند؛ از پیچ‌های دیگر "
        "{other} بیش از همه، یعنی {others:.1%}.",
        "نخست نرخ یادگیری را نزدیک {value:.1e} (از بهترین آزمایش) روشن کنید؛ وزن‌ها کم‌اهمیت‌ترند.",
    ),
    "errors_rank_differently": Wording(
        "خطاهایی که ترتیب دیگری می‌دهند",
        "{metric} و تابع هدف {trials} آزمایش را یکسان مرتب نمی‌کنند (دورهٔ {epoch}، همبستگی رتبه‌ای {rho:.2f}): "
        "بهترین از نظر {metric}، یعنی {trial_id}، از نظر تابع هدف رتبهٔ {rank} است.",
        "به تابع هدف اعتماد کنید که آزاد اجرا می‌شود و به متن نیاز دارد؛ نمونه‌های صوتی هر دو را بشنوید.",
    ),
}

WORDS_FA: dict[str, str] = {
    "better": "بهتر",
    "worse": "بدتر",
    "no difference": "بدون تفاوت",
    "undecided": "نامشخص",
    "lower": "پایینی",
    "upper": "بالایی",
    "ratio": "نسبت",
    "ratios": "نسبت‌ها",
    "product": "حاصل‌ضرب",
    "together": "هم‌جهتِ",
    "apart": "ناهم‌جهتِ",
    "unknown": "نامعلوم",
}
"""Words that stand in fields, in Persian."""
