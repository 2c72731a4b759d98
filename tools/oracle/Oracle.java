import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.hl7.fhir.r5.elementmodel.Manager.FhirFormat;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;
import org.hl7.fhir.utilities.validation.ValidationMessage;
import org.hl7.fhir.validation.ValidationEngine;
import org.hl7.fhir.validation.instance.advisor.BasePolicyAdvisorForFullValidation;
import org.hl7.fhir.validation.service.model.InstanceValidatorParameters;

/**
 * Asks the official HL7 validator about many resources in one JVM.
 *
 * <p>Arguments: folders of definitions to load. Standard input: one resource a line, "name TAB JSON". Standard output:
 * one verdict a line, {"name", "errors": [issue], "warnings": [issue]}, an issue being {"path", "id", "text"}. No
 * terminology server and no network; whether the target of a reference exists is not asked.
 */
public final class Oracle {
  public static void main(String[] folders) throws Exception {
    PrintStream verdicts = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    // The validator talks on standard output, which is for verdicts only.
    System.setOut(System.err);
    ValidationEngine engine = engine(folders);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      int tab = line.indexOf('\t');
      verdicts.println(verdict(engine, line.substring(0, tab), line.substring(tab + 1)));
    }
  }

  private static ValidationEngine engine(String[] folders) throws Exception {
    ValidationEngine engine =
        new ValidationEngine.ValidationEngineBuilder()
            .withVersion("4.0.1")
            .withNoTerminologyServer()
            .withCanRunWithoutTerminologyServer(true)
            .withDefaultInstanceValidatorParameters(
                new InstanceValidatorParameters()
                    .setAllowExampleUrls(true)
                    .setAssumeValidRestReferences(true)
                    .setBestPracticeLevel(BestPracticeWarningLevel.Ignore))
            .fromSource("hl7.fhir.r4.core#4.0.1");
    engine.setPolicyAdvisor(
        new BasePolicyAdvisorForFullValidation(ReferenceValidationPolicy.CHECK_TYPE_IF_EXISTS, Set.of()));
    for (String folder : folders) {
      engine.getIgLoader().loadIg(engine.getIgs(), engine.getBinaries(), folder, false);
    }
    engine.prepare();
    return engine;
  }

  private static JsonObject verdict(ValidationEngine engine, String name, String resource) {
    JsonArray errors = new JsonArray();
    JsonArray warnings = new JsonArray();
    List<ValidationMessage> messages = new ArrayList<>();
    try {
      // Answers of terminology are kept under keys that do not tell " " from none: one case must not sway the next.
      engine.getContext().initTxCache((String) null);
      engine.validate(resource.getBytes(StandardCharsets.UTF_8), FhirFormat.JSON, List.of(), messages);
    } catch (Exception | StackOverflowError error) {
      errors.add(issue("", "exception", error.toString()));
    }
    for (ValidationMessage message : messages) {
      JsonObject issue = issue(message.getLocation(), message.getMessageId(), message.getMessage());
      if (message.getLevel().isError()) {
        errors.add(issue);
      } else if (message.getLevel() == ValidationMessage.IssueSeverity.WARNING) {
        warnings.add(issue);
      }
    }
    JsonObject verdict = new JsonObject();
    verdict.addProperty("name", name);
    verdict.add("errors", errors);
    verdict.add("warnings", warnings);
    return verdict;
  }

  private static JsonObject issue(String path, String id, String text) {
    JsonObject issue = new JsonObject();
    issue.addProperty("path", path);
    issue.addProperty("id", id);
    issue.addProperty("text", text);
    return issue;
  }
}
